"""What the benchmarks share: a project to run in, time and memory of processes, arguments and Markdown tables.

Linux only.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml

from facegender.errors import FacegenderError

ROOT = Path(__file__).parents[1]
IMAGES = "img_align_celeba.zip"
DATASET = {
    "images": IMAGES,
    "attributes": "list_attr_celeba.csv",
    "partitions": "list_eval_partition.csv",
    "identities": "identity_CelebA.txt",
}
"""The keys of `dataset` in params.yaml, and their files in the folder that --celeba names."""

Parameters = dict[str, Any]
"""Parameters by dotted key."""

PLAIN: Parameters = {
    "augment.rotation": 10,
    "augment.zoom": 0.2,
    "augment.horizontal_flip": True,
    "augment.vertical_flip": False,
    "augment.width_shift": 0,
    "augment.height_shift": 0,
    "augment.shear": 0,
    "augment.brightness": 0,
    "augment.contrast": 0,
    "augment.colour": 0,
}
"""The transformations of the default params.yaml."""

UNREGULARISED: Parameters = {
    "train.weight_decay": 0,
    "train.label_smoothing": 0,
    "train.ema_momentum": 0,
    "train.warmup_steps": 0,
}
"""Plain Adam."""

STORED_FEATURES: Parameters = {
    **PLAIN,
    **UNREGULARISED,
    "augment.mode": "copies",
    "augment.copies": 1,
    "train.precision": "float32",
    "calibrate.mirror": False,
}
"""A frozen trunk whose features are computed once, and a fixed copy of each training image; for any cut but image."""

_PAUSE = 0.05
"""Seconds between two looks at the running processes."""


class Stage(NamedTuple):
    """One run of a stage.

    Attributes:
        name: its script and the script's argument, for example `features@train`.
        seconds: wall time.
        peak: highest resident memory of its process and of each of its children, added up, bytes.
    """

    name: str
    seconds: float
    peak: int


class Run(NamedTuple):
    """One run of a command.

    Attributes:
        seconds: wall time.
        peak: highest resident memory of the command's own process plus that of its largest stage, bytes.
        stages: the stages that ran, in order.
        printed: standard output and standard error.
    """

    seconds: float
    peak: int
    stages: list[Stage]
    printed: str


def project(celeba: Path, weights: str, folder: Path, overrides: Mapping[str, Any]) -> Path:
    """Clone this repository's last commit, without dvc.lock and with params/celeba.yaml as its parameters.

    Args:
        celeba: a folder with the files of `DATASET`; the project links to them.
        weights: `imagenet`, `random`, or the absolute path of an .h5 file.
        folder: of the clone; must not exist.
        overrides: parameters by dotted key.

    Returns:
        `folder`.
    """
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    (folder / "dvc.lock").unlink()
    (folder / "data" / "celeba").mkdir(parents=True)
    for name in DATASET.values():
        (folder / "data" / "celeba" / name).symlink_to((celeba / name).resolve(strict=True))
    (folder / "params.yaml").write_bytes((folder / "params" / "celeba.yaml").read_bytes())
    dataset = {f"dataset.{key}": f"data/celeba/{name}" for key, name in DATASET.items()}
    if weights in ("imagenet", "random"):
        backbone = {"backbone.weights": weights, "backbone.weights_file": "params/no_weights.txt"}
    else:
        backbone = {"backbone.weights": "file", "backbone.weights_file": weights}
    change_params(folder, {**dataset, **backbone, **overrides})
    return folder


def change_params(folder: Path, changes: Mapping[str, Any]) -> None:
    """Set parameters of a project by dotted key.

    Raises:
        FacegenderError: a parameter does not exist.
    """
    params = changed_params(read_params(folder), changes)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def changed_params(params: Mapping[str, Mapping[str, Any]], changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the content of a params.yaml with some parameters, by dotted key, changed.

    Raises:
        FacegenderError: a parameter does not exist.
    """
    changed = {group: dict(values) for group, values in params.items()}
    for dotted, value in changes.items():
        group, _, key = dotted.partition(".")
        if key not in changed.get(group, {}):
            raise FacegenderError(dotted, "no such parameter in params.yaml", "docs/params.md lists them")
        changed[group][key] = value
    return changed


def read_params(folder: Path) -> dict[str, dict[str, Any]]:
    """Read a project's params.yaml."""
    params: dict[str, dict[str, Any]] = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    return params


def measured_repro(folder: Path, *arguments: str) -> Run:
    """Run `dvc repro`, with any further arguments, in a project and measure it and every stage that it runs."""
    return measured(["dvc", "repro", *arguments], folder)


def measured(command: Sequence[str], folder: Path) -> Run:
    """Run a command in `folder` and measure it.

    The time of a stage is accurate to 0.1 s. Its memory does not include growth in its last 0.05 s.

    Raises:
        SystemExit: the command failed; the message holds everything that it printed.
    """
    environment = os.environ | {
        # The project's own library, not the installed one.
        "PYTHONPATH": str(folder / "src"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        start = time.perf_counter()
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        peak, stages = _watch(process)
        seconds = time.perf_counter() - start
        log.seek(0)
        printed = log.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed in {folder}:\n{printed}")
    return Run(seconds, peak + max((stage.peak for stage in stages), default=0), stages, printed)


def _watch(process: psutil.Popen) -> tuple[int, list[Stage]]:
    """Wait until a process ends, and return its own peak memory and the stages that it ran."""
    own_peak = 0
    starts: dict[psutil.Process, float] = {}
    peaks: dict[psutil.Process, dict[psutil.Process, int]] = {}
    stages: dict[psutil.Process, Stage] = {}
    while process.poll() is None:
        own_peak = max(own_peak, peak_memory(process.pid))
        for child in process.children(recursive=True):
            name = _stage_name(child)
            fork_of_a_stage = child not in peaks and any(child in of_stage for of_stage in peaks.values())
            if not name or fork_of_a_stage:
                continue
            of_stage = peaks.setdefault(child, {child: 0})
            for member in [child, *_children(child)]:
                # The first look may find a fork before its exec, which still shows the memory of its parent.
                of_stage[member] = max(of_stage[member], peak_memory(member.pid)) if member in of_stage else 0
            seconds = time.perf_counter() - starts.setdefault(child, time.perf_counter()) + _PAUSE
            stages[child] = Stage(name, seconds, sum(of_stage.values()))
        time.sleep(_PAUSE)
    return own_peak, list(stages.values())


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _stage_name(process: psutil.Process) -> str:
    """Return the name of the stage that a process runs, or an empty string if it runs none."""
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return ""
    if len(words) < 3 or words[1] != "-m" or not words[2].startswith("stages."):
        return ""
    return "@".join([words[2].removeprefix("stages."), *words[3:4]])


def peak_memory(pid: int) -> int:
    """Return a process's highest resident memory so far, bytes; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def timed(function: Callable[[], object]) -> float:
    """Call a function and return the seconds that it took."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def take_turns(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run each way once in every round, so that other load on the machine affects all of them equally.

    Args:
        ways: functions that return the seconds they took, by name.
        rounds: at least 1.

    Returns:
        The seconds of each way, one for each round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, rounds + 1):
        for name, run in ways.items():
            say(f"round {number}: {name}")
            seconds[name].append(run())
    return seconds


def argument_parser(description: str | None, *shared: str) -> argparse.ArgumentParser:
    """Make a parser with those of the shared arguments that a script needs: `celeba`, `weights`, `set`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if "celeba" in shared:
        parser.add_argument("--celeba", type=Path, required=True, help=f"folder with {', '.join(DATASET.values())}")
    if "weights" in shared:
        parser.add_argument(
            "--weights", type=_weights, required=True, help="imagenet, or an .h5 file of InceptionV3 without its top"
        )
    if "set" in shared:
        parser.add_argument(
            "--set", nargs="*", action="extend", default=[], metavar="KEY=VALUE", help="further parameters"
        )
    return parser


def _weights(text: str) -> str:
    """Return `imagenet` as it is, and a path as an absolute one."""
    if text == "imagenet":
        return text
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file; use imagenet or the path of an .h5 file")
    return str(Path(text).resolve())


def settings(texts: Sequence[str]) -> dict[str, Any]:
    """Parse the values of --set, KEY=VALUE each, into parameters by dotted key."""
    return {key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in texts)}


def say(text: str) -> None:
    """Print progress to standard error; standard output is for the tables."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table with its first column aligned left and the others, which are numbers, aligned right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def megabytes(size: float) -> str:
    """Format bytes as MB (10^6 bytes)."""
    return f"{size / 1e6:,.0f} MB"


def median_rate(images: int, seconds: Sequence[float]) -> float:
    """Return the images per second in the median round."""
    return images / statistics.median(seconds)


def rate_cells(images: int, seconds: Sequence[float]) -> tuple[str, str]:
    """Format the images per second in the median round and over all rounds."""
    return (
        f"{median_rate(images, seconds):.1f}",
        f"{images / max(seconds):.1f} to {images / min(seconds):.1f}",
    )


def stage_table(run: Run) -> str:
    """Return the table of a run's stages."""
    return table(
        ["Stage", "Wall time", "Peak memory"],
        [
            *((stage.name, f"{stage.seconds:.1f} s", megabytes(stage.peak)) for stage in run.stages),
            ("all, with DVC", f"{run.seconds:.1f} s", megabytes(run.peak)),
        ],
    )
