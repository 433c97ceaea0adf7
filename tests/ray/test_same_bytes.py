"""What runs on two nodes of a cluster has the results, byte for byte, of this machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from facegender import cli
from facegender.cluster import spread
from facegender.data.shards import ShardFile
from facegender.data.tables import write_csv
from facegender.network.onnx_file import save
from stages import augment, baseline, preprocess
from tests.functional.small_network import make_network
from tests.ray import work
from tests.ray.stages_here import (
    HEIGHT,
    WIDTH,
    augment_here,
    features_of,
    jpeg,
    put_params,
    put_shards,
    shard_files,
    written,
)

pytest.importorskip("ray", reason="Ray is not installed; run: make test-ray")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facegender.data.shards.SHARD_SIZE", 4)


def test_results_come_in_order_from_all_nodes(two_nodes: str) -> None:
    # More than the object store sends with the task itself.
    items = shard_files(*(bytes([number]) * 2**20 for number in range(8)))

    assert list(spread(work.doubled, items, address=two_nodes)) == [2 * item.content for item in items]
    assert list(spread(work.doubled, items, 3, two_nodes)) == [2 * item.content for item in items]


def test_few_tasks_are_in_flight(two_nodes: str) -> None:
    read = []

    def items() -> Iterator[ShardFile]:
        for item in shard_files(*map(bytes, range(20))):
            read.append(item)
            yield item

    for number, _ in enumerate(spread(work.doubled, items(), address=two_nodes)):
        # Two for each of two CPUs, and the one that takes the place of this result's.
        assert len(read) <= number + 5
    assert len(read) == 20


def test_preprocess(two_nodes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facegender.preparation.preprocess._IMAGES_PER_TASK", 3)
    images = {f"{number}.jpg": jpeg(number) for number in range(20)}
    images |= {"5.jpg": b"", "7.jpg": images["7.jpg"][:-100], "9.jpg": jpeg(9, 200, 150)}
    (tmp_path / "images").mkdir()
    for name, content in images.items():
        (tmp_path / "images" / name).write_bytes(content)
    rows = [*images, "missing.jpg"]
    labels = [number % 2 for number in range(len(rows))]
    write_csv(tmp_path / "data/partition/train.csv", pd.DataFrame({"image_id": rows, "label": labels}))
    put_params(tmp_path)
    monkeypatch.chdir(tmp_path)

    preprocess.main("train")
    here = written(tmp_path)
    shutil.rmtree("data/preprocessed")
    monkeypatch.setenv("RAY_ADDRESS", two_nodes)
    preprocess.main("train")

    # 18 good images in shards of four.
    assert {f"data/preprocessed/train/0000{number}.zip" for number in range(5)} <= here.keys()
    assert written(tmp_path) == here

    put_params(tmp_path, "fail")
    messages = []
    for _ in range(2):
        with pytest.raises(SystemExit) as caught:
            preprocess.main("train")
        messages.append(str(caught.value.code))
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert messages[0] == messages[1]
    assert messages[0].startswith("error: data/partition/train.csv: 3 bad images;")
    assert written(tmp_path) == here


def test_augment(two_nodes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = augment_here(tmp_path)

    monkeypatch.setenv("RAY_ADDRESS", two_nodes)
    augment.main()

    # Two copies of each of six shards.
    assert sum("-copy-" in name for name in here) == 12
    assert written(tmp_path) == here


def test_features(two_nodes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_shards(tmp_path / "images")
    assert features_of(tmp_path) == [True] * 6
    here = [path.read_bytes() for path in sorted((tmp_path / "features").iterdir())]
    shutil.rmtree(tmp_path / "features")
    shutil.rmtree(tmp_path / "memo")

    monkeypatch.setenv("RAY_ADDRESS", two_nodes)
    assert features_of(tmp_path) == [True] * 6

    assert [path.read_bytes() for path in sorted((tmp_path / "features").iterdir())] == here
    assert features_of(tmp_path) == [False] * 6


def test_baseline(two_nodes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_shards(tmp_path / "data/preprocessed/train")
    monkeypatch.chdir(tmp_path)
    here = baseline.read_split("train")

    monkeypatch.setenv("RAY_ADDRESS", two_nodes)
    there = baseline.read_split("train")

    assert there[0] == here[0]
    assert [array.tobytes() for array in there[1:]] == [array.tobytes() for array in here[1:]]


def test_predict(two_nodes: str, tmp_path: Path) -> None:
    save(make_network((HEIGHT, WIDTH), np.linspace(-0.01, 0.01, 360), 0.1), tmp_path / "model.onnx")
    (tmp_path / "faces").mkdir()
    for number in range(40):
        (tmp_path / f"faces/{number:02}.jpg").write_bytes(jpeg(number))
    (tmp_path / "faces/07.jpg").write_bytes(b"")
    command = ["predict", str(tmp_path / "faces"), "nowhere.jpg", "--model", str(tmp_path / "model.onnx")]
    command += ["--align", "never", "--json"]

    here = CliRunner().invoke(cli.app, command)
    there = CliRunner().invoke(cli.app, [*command, "--ray", two_nodes])

    assert here.stdout.count("probability") == 41
    assert there.stdout == here.stdout
    assert (str(there.exception), str(here.exception)) == 2 * (
        "facegender predict: 2 of the files failed; the rows above give the reasons",
    )
