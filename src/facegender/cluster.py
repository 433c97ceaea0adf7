"""Work on shards and other items, here or on the nodes of a Ray cluster; where it runs does not change its results.

The caller reads and writes all files. Only bytes travel, so the nodes need no shared disk.
"""

import hashlib
import os
import pickle
import re
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from facegender.errors import FacegenderError
from facegender.processor import this_processor

ADDRESS = "RAY_ADDRESS"
"""The environment variable with the address of a cluster, as Ray itself reads it."""

_LIBRARIES = ("numpy", "onnxruntime", "opencv-python-headless", "openvino", "zstandard")
"""Packages whose versions may change results."""

_TRAINING_LIBRARIES = (
    "cleanlab",
    "h5py",
    "keras",
    "matplotlib",
    "onnx",
    "pandas",
    "scikit-learn",
    "scipy",
    "tensorflow",
)
"""The same for what only whole experiments use."""

_PROCESSOR = "the kind of processor"

_TASKS_PER_CPU = 2
"""Tasks in flight: one that runs, and one whose bytes travel meanwhile."""

_RETRIES = 3
"""How often Ray repeats a task whose process or node died."""

_SECONDS_TO_ANSWER = 10


class NodeError(FacegenderError):
    """A node has other code, libraries or another kind of processor than it needs."""


class Named(Protocol):
    """Has a name for errors, such as the path of a file."""

    @property
    def name(self) -> str:
        """The name."""


Item = TypeVar("Item", bound=Named)
Result = TypeVar("Result")


def on_cluster() -> bool:
    """Return whether RAY_ADDRESS names a cluster for `spread`."""
    return bool(os.environ.get(ADDRESS))


def spread(
    function: Callable[[Iterator[Item]], Iterator[Result]],
    items: Iterable[Item],
    per_task: int = 1,
    address: str | None = None,
) -> Iterator[Result]:
    """Return `function(items)`, computed on a Ray cluster if there is an address or RAY_ADDRESS is set.

    On a cluster, each task is `function` of the next `per_task` items and takes one CPU. Results come in order, and
    only a few tasks for each CPU are in flight. Ray repeats a task whose node dies. One call at a time can use a
    cluster.

    Args:
        function: what it yields for an item must not depend on the other items. It is pickled once for all tasks, and
            each worker process unpickles it once; what it prepares at its first call, such as a compiled network, can
            serve all tasks of the process. It must be importable from this package, or a partial of such a function.
        items: read as they are needed.
        per_task: items in a task.
        address: of the cluster, instead of RAY_ADDRESS.

    Raises:
        FacegenderError: what `function` raises; on a cluster also: Ray is not installed or no cluster answers, a node
            has other code, libraries or another kind of processor than this machine, or a task fails for another
            reason or however often Ray repeats it.
    """
    address = address or os.environ.get(ADDRESS)
    return _on_cluster(function, items, per_task, address) if address else function(iter(items))


def finished(
    function: Callable[[Iterator[Item]], Iterator[Result]], items: Iterable[Item], address: str
) -> Iterator[tuple[Item, Result | FacegenderError]]:
    """Return each item and what `function` yields for it on a Ray cluster, in the order in which they end.

    Each task is one item. It takes a GPU with its share of the node's CPUs or, if no node has GPUs, as many CPUs as
    the smallest node has, so a larger node may run several. Nodes may have other kinds of processors than this machine.
    An item that fails does not stop the others. A node that has other code or libraries does, because it would fail one
    item after the other while the other nodes compute.

    Args:
        function: as in `spread`.
        items: all are read at once.
        address: of the cluster.

    Yields:
        An item with its result, or with the error as in `spread`.

    Raises:
        FacegenderError: Ray is not installed, no cluster answers, it has no CPU for tasks, or a node has other code or
            libraries.
    """
    with _connected(address) as ray:
        task = ray.remote(max_retries=_RETRIES, **_large_share(ray, address))(_portable())
        shared = (ray.put(function),)
        expected = {key: value for key, value in environment().items() if key != _PROCESSOR}
        running = {task.remote(expected, shared, pickle.dumps([item])): item for item in items}
        while running:
            [reference], _ = ray.wait(list(running))
            item = running.pop(reference)
            try:
                [result] = _results(ray, item.name, reference)
            except NodeError:
                raise
            except FacegenderError as error:
                yield item, error
            else:
                yield item, result


def _large_share(ray: Any, address: str) -> dict[str, float]:
    """Return what a task of `finished` takes, so that every node with GPUs, or else every node, can run one."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = [resources for resources in alive if resources.get("CPU")]
    if not nodes:
        raise _no_cpu(address)
    if with_gpus := [resources for resources in nodes if resources.get("GPU")]:
        return {"num_gpus": 1, "num_cpus": min(node["CPU"] // node["GPU"] for node in with_gpus)}
    return {"num_cpus": min(node["CPU"] for node in nodes)}


def _no_cpu(address: str) -> FacegenderError:
    return FacegenderError(f"{ADDRESS}={address}", "the cluster has no CPU for tasks", "add a node to it")


def _on_cluster(
    function: Callable[[Iterator[Item]], Iterator[Result]], items: Iterable[Item], per_task: int, address: str
) -> Iterator[Result]:
    iterator = iter(items)
    batches = iter(lambda: list(islice(iterator, per_task)), [])
    first = next(batches, None)
    if first is None:
        return
    running: deque[tuple[str, Any]] = deque()
    with _connected(address) as ray:
        task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_portable())
        # Ray unpickles arguments before the task can check its node: so this one is in a tuple, and the batch is bytes.
        shared = (ray.put(function),)
        expected = {key: value for key, value in environment().items() if key not in _TRAINING_LIBRARIES}
        if not _cpus(ray):
            raise _no_cpu(address)
        for batch in chain([first], batches):
            if len(running) >= _TASKS_PER_CPU * max(1, _cpus(ray)):
                yield from _results(ray, *running.popleft())
            running.append((_name(batch), task.remote(expected, shared, pickle.dumps(batch))))
        while running:
            yield from _results(ray, *running.popleft())


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        import ray
    except ModuleNotFoundError as error:
        remedy = f"run: pip install -r requirements-ray.lock, or unset {ADDRESS} to compute here"
        raise FacegenderError(f"{ADDRESS}={address}", "needs Ray, which is not installed", remedy) from error
    try:
        _check_that_it_answers(address)
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    # Ray raises each of these, depending on the kind of address and on what is wrong. OSError includes ConnectionError.
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        remedy = f"check the address, the cluster and its token, or unset {ADDRESS} to compute here"
        raise FacegenderError(f"{ADDRESS}={address}", f"no cluster can be used ({_line(error)})", remedy) from error
    try:
        yield ray
    finally:
        # Also ends the tasks that still run.
        ray.shutdown()


def _cpus(ray: Any) -> int:
    # Nodes come and go.
    return int(ray.cluster_resources().get("CPU", 0))


def _check_that_it_answers(address: str) -> None:
    # Ray itself waits for many minutes. Other addresses, such as `auto`, have no host.
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()


def _results(ray: Any, name: str, reference: Any) -> list[Any]:
    """Wait for a task and return its results."""
    try:
        return list(ray.get(reference))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, FacegenderError):
            raise error.cause from None
        if isinstance(error.cause, ImportError) and len(error.cause.args) == 2:  # As `_portable` raises it.
            node, reason = error.cause.args
            what = f"facegender is missing, or is another version ({reason})"
            raise NodeError(f"node {node}", what, "install the version of this machine there") from error
        what = f"failed on the cluster ({type(error.cause).__name__}: {_line(error.cause)})"
        raise FacegenderError(name, what, "look at Ray's logs") from error
    except ray.exceptions.RayError as error:
        what = f"was given up on the cluster after {1 + _RETRIES} tries ({_line(error)})"
        raise FacegenderError(name, what, "look at the memory of its nodes, and at Ray's logs") from error


def _name(batch: list[Item]) -> str:
    return batch[0].name if len(batch) == 1 else f"{batch[0].name} to {batch[-1].name}"


def _line(error: Exception) -> str:
    return re.split(r"\n|(?<=\.) ", str(error).strip())[0].rstrip(".") or type(error).__name__


def _portable() -> Callable[..., Any]:
    # Ray sends a function within a function as code, and any other by its name. So this one starts even where this
    # package is missing.
    def run(expected: dict[str, str], shared: tuple[Any], batch: bytes) -> Any:
        try:
            from facegender.cluster import run_task
        except ImportError as error:
            import ray

            raise ImportError(ray.util.get_node_ip_address(), str(error)) from None
        return run_task(expected, shared, batch)

    return run


def run_task(expected: dict[str, str], shared: tuple[Any], batch: bytes) -> list[Any]:
    """Run in a worker process: check the node, and return what the function yields for the items.

    Args:
        expected: of `environment` of the machine that wants the results, what must be the same here.
        shared: the reference of the function.
        batch: a list of items, pickled.

    Raises:
        FacegenderError: as in `spread`.
    """
    import ray

    node = f"node {ray.util.get_node_ip_address()}"
    here = environment()
    for key, value in expected.items():
        if here[key] != value:
            what = f"{key} is {here[key]}, but {value} on the machine that wants the results"
            raise NodeError(node, what, "make them the same, or leave this node out of the cluster")
    items = pickle.loads(batch)
    try:
        return list(_received(shared[0])(iter(items)))
    except FacegenderError:
        raise
    except Exception as error:
        what = f"failed on {node} ({type(error).__name__}: {error})"
        raise FacegenderError(_name(items), what, f"unset {ADDRESS} to see where in the code") from error


@lru_cache(maxsize=1)
def _received(reference: Any) -> Callable[[Iterator[Any]], Iterator[Any]]:
    import ray

    function: Callable[[Iterator[Any]], Iterator[Any]] = ray.get(reference)
    return function


def thread_limit() -> int:
    """Return how many threads OMP_NUM_THREADS allows this process, 0 if it is not set or not a number.

    Ray sets it to a task's CPUs. Neither OpenVINO nor onnxruntime reads it.
    """
    outermost = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(outermost) if outermost.isdecimal() else 0


@lru_cache(maxsize=1)
def environment() -> dict[str, str]:
    """Return what results depend on besides their input: this package's files, libraries and the kind of processor."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        # Python writes temporary files into __pycache__, too.
        if "__pycache__" not in path.parts and path.is_file():
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return {
        "the code of facegender": digest.hexdigest()[:12],
        **{name: _version(name) for name in (*_LIBRARIES, *_TRAINING_LIBRARIES)},
        _PROCESSOR: this_processor(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
