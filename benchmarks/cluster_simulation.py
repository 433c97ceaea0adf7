"""How long `facegender.cluster.spread` takes on a cluster that is larger than those at hand."""

import heapq
import random
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

BANDWIDTH = 1.25e9
"""Bytes a second of this machine's network in the simulation: 10 Gbit/s."""
IMAGES_PER_TASK = 100
"""Of features: a shard."""
IN_FLIGHT = 2
"""Tasks for each CPU, as in facegender.cluster."""


class Costs(NamedTuple):
    """What was measured.

    Attributes:
        tasks: seconds of single tasks on one CPU, without travel.
        driver: seconds that this machine works for each task.
        start: seconds until the first task can begin.
        size: bytes of a task's input and result.
    """

    tasks: Sequence[float]
    driver: float
    start: float
    size: float


def seconds_between_tasks(costs: Costs) -> float:
    """Return the seconds that this machine needs for a task, its bytes' travel included."""
    return costs.driver + costs.size / BANDWIDTH


def simulated_seconds(count: int, workers: int, costs: Costs, seed: int = 0) -> float:
    """Return the seconds that `spread` takes for tasks on workers of one CPU each.

    This machine sends a task and takes a result one after the other, in the order of the tasks, and waits for the
    oldest one when there are two in flight for each worker. Bytes travel through its network one after the other.
    """
    draw = random.Random(seed)
    each = seconds_between_tasks(costs)
    free = [costs.start] * workers
    ends: deque[float] = deque()
    clock = costs.start
    for _ in range(count):
        if len(ends) == IN_FLIGHT * workers:
            clock = max(clock, ends.popleft())
        clock += each
        end = max(clock, heapq.heappop(free)) + draw.choice(costs.tasks)
        heapq.heappush(free, end)
        ends.append(end)
    return max(clock, *ends)
