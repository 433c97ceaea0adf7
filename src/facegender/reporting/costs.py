"""The cost of each stage when it last ran in this folder: a file per stage in .cache/costs."""

import functools
import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facegender.cache import Function, stage_name
from facegender.errors import FacegenderError
from facegender.files import write_json

Cost = Mapping[str, float]
"""`seconds` and `peak_bytes`."""

FOLDER = Path(".cache/costs")

PIPELINE = (
    *(
        "check",
        "synthetic_data",
        "eda",
        "partition",
        "preprocess",
        "augment",
        "pretrained",
        "features",
        "train",
        "calibrate",
    ),
    *("baseline", "evaluate", "slices", "mistakes", "processor", "report"),
)
"""The scripts of the stages in the order in which they run."""


def recorded_cost(function: Function) -> Function:
    """Record the wall time and the peak memory of this process when a stage's main function ends without an error.

    The file is named by `stage_name`.
    """

    @functools.wraps(function)
    def inner(*arguments: Any) -> None:
        start = time.perf_counter()
        function(*arguments)
        cost = {"seconds": round(time.perf_counter() - start, 3), "peak_bytes": peak_memory()}
        write_json(FOLDER / f"{stage_name(function, *arguments)}.json", cost)

    return inner  # type: ignore[return-value]


def peak_memory() -> int:
    """Return the peak resident memory of this process so far, in bytes; 0 on Windows, where it is not measured."""
    if sys.platform == "win32":
        return 0
    if sys.platform == "linux":
        # getrusage would also count the memory before exec, when the process was a fork of DVC.
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
        return int(found[1]) * 1024 if found else 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def read_costs() -> dict[str, dict[str, float]]:
    """Return `seconds` and `peak_bytes` of each stage that ran in this folder, by its name.

    Raises:
        FacegenderError: a file is damaged.
    """
    return {path.stem: _read_cost(path) for path in sorted(FOLDER.glob("*.json"))}


def _read_cost(path: Path) -> dict[str, float]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: float(content[name]) for name in ("seconds", "peak_bytes")}
    except (ValueError, KeyError, TypeError) as error:
        raise FacegenderError(
            path, "damaged: not the cost of a stage", "delete it; the stage's next run writes it"
        ) from error


def in_pipeline_order(costs: Mapping[str, Cost]) -> dict[str, Cost]:
    """Sort costs by stage in the order in which the stages run, and by name; leave out stages of an earlier version."""
    known = [name for name in sorted(costs) if name.split("@")[0] in PIPELINE]
    return {name: costs[name] for name in sorted(known, key=lambda name: PIPELINE.index(name.split("@")[0]))}
