"""Work on shards on this machine. tests/ray does the same on a Ray cluster."""

import pickle
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator

import pytest

from facegender.cluster import environment, spread, thread_limit
from facegender.data.shards import ShardFile
from facegender.errors import FacegenderError, FacegenderErrors
from facegender.processor import this_processor

SHARDS = [ShardFile("a.zip", b"1"), ShardFile("b.zip", b"2")]


def twice(shards: Iterable[ShardFile]) -> Iterator[bytes]:
    for shard in shards:
        yield from (shard.content, shard.content)


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_without_a_cluster_the_function_runs_here_and_reads_items_as_it_needs_them() -> None:
    read = []

    def items() -> Iterator[ShardFile]:
        for shard in SHARDS:
            read.append(shard.name)
            yield shard

    results = spread(twice, items(), per_task=100)
    assert next(results) == b"1"
    assert read == ["a.zip"]
    assert list(results) == [b"1", b"2", b"2"]


def test_without_a_cluster_ray_is_not_loaded() -> None:
    program = (
        "import sys\n"
        "import stages.augment, stages.features, stages.preprocess\n"
        "from facegender.cluster import spread\n"
        "assert list(spread(list, [1, 2])) == [1, 2]\n"
        "assert 'ray' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_work_no_cluster_is_needed() -> None:
    assert list(spread(twice, [], address="10.0.0.1:6379")) == []


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_cluster_without_ray_is_one_line(by_variable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    if by_variable:
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")

    with pytest.raises(FacegenderError) as caught:
        list(spread(twice, SHARDS, address=None if by_variable else "10.0.0.1:6379"))

    assert str(caught.value) == (
        "RAY_ADDRESS=10.0.0.1:6379: needs Ray, which is not installed; run: pip install -r requirements-ray.lock, "
        "or unset RAY_ADDRESS to compute here"
    )


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "[127.0.0.1]:{}"])
def test_a_cluster_that_does_not_answer_is_one_line(form: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    # A port that nobody listens on, but that nobody else gets either.
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = form.format(reserved.getsockname()[1])

        with pytest.raises(FacegenderError) as caught:
            list(spread(twice, SHARDS, address=address))

    assert str(caught.value).startswith(f"RAY_ADDRESS={address}: no cluster can be used (")
    assert "Connection refused" in str(caught.value)
    assert str(caught.value).endswith(
        "; check the address, the cluster and its token, or unset RAY_ADDRESS to compute here"
    )
    assert len(str(caught.value).splitlines()) == 1


def test_what_results_depend_on_is_described() -> None:
    described = environment()

    assert described["the kind of processor"] == this_processor()
    assert {"numpy", "opencv-python-headless", "openvino", "onnxruntime", "zstandard"} <= described.keys()
    assert len(described["the code of facegender"]) == 12


@pytest.mark.parametrize(
    ("value", "limit"), [(None, 0), ("1", 1), ("4,2", 4), (" 3 ", 3), ("", 0), ("all", 0), ("-1", 0)]
)
def test_the_limit_of_threads_is_that_of_openmp(value: str | None, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", value)

    assert thread_limit() == limit


@pytest.mark.parametrize(
    "error",
    [
        FacegenderError("a.zip", "is bad", "make it good", ["one", "two"]),
        FacegenderErrors([FacegenderError("a", "is 1", "use 2"), FacegenderError("b", "is 3", "use 4")]),
    ],
    ids=["one", "several"],
)
def test_an_error_keeps_its_text_on_the_way_between_processes(error: FacegenderError) -> None:
    travelled = pickle.loads(pickle.dumps(error))

    assert type(travelled) is type(error)
    assert str(travelled) == str(error)
