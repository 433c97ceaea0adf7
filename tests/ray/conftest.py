"""A cluster of several nodes on this machine."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.paths import ROOT

Start = Callable[..., Any]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Start a cluster whose only node takes no tasks."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    started = Cluster()
    _add_node(started, num_cpus=0, include_dashboard=False)
    yield started
    started.shutdown()


def start_node(cluster: Any, *before: Path, num_gpus: int = 0, **variables: str) -> Any:
    """Add a node of one CPU, or one for each GPU, whose Python finds modules in the folders `before` first.

    A GPU is only a number here: Ray does not look whether there is one.
    """
    path = os.pathsep.join(map(str, (*before, ROOT / "src", ROOT)))
    variables = {"PYTHONPATH": path, **variables}
    return _add_node(cluster, num_cpus=max(1, num_gpus), num_gpus=num_gpus, env_vars=variables)


def _add_node(cluster: Any, **options: Any) -> Any:
    # Ray waits for 30 seconds, which is not enough on a busy machine.
    for _ in range(2):
        try:
            return cluster.add_node(**options)
        except Exception as error:
            if "timed out" not in str(error):
                raise
    return cluster.add_node(**options)


@pytest.fixture(scope="module")
def two_nodes(cluster: Any) -> Iterator[str]:
    """Add two nodes for the tests of a file, and return the cluster's address."""
    nodes = [start_node(cluster), start_node(cluster)]
    yield cluster.address
    for node in nodes:
        cluster.remove_node(node)


@pytest.fixture
def start(cluster: Any) -> Iterator[Start]:
    """Return a function that adds a node as `start_node` does; after the test, remove those that are left."""
    nodes = []

    def start_one(*before: Path, num_gpus: int = 0, **variables: str) -> Any:
        nodes.append(start_node(cluster, *before, num_gpus=num_gpus, **variables))
        return nodes[-1]

    yield start_one
    for node in nodes:
        if node in cluster.worker_nodes:
            cluster.remove_node(node)
