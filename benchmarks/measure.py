"""What the benchmarks share: a project to run in, time and memory of processes, Markdown tables. Linux only."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml

ROOT = Path(__file__).parents[1]
IMAGES = "img_align_celeba.zip"
DATASET = {
    "images": IMAGES,
    "attributes": "list_attr_celeba.csv",
    "partitions": "list_eval_partition.csv",
    "identities": "identity_CelebA.txt",
}
"""The keys of params.yaml and the files of the folder that --celeba names."""

_PAUSE = 0.05
"""Seconds between two looks at the running processes."""


class Stage(NamedTuple):
    """A stage as it ran.

    Attributes:
        name: as DVC has it, for example `features@train`.
        seconds: wall time.
        peak: resident memory of its process and its children at their highest, bytes.
    """

    name: str
    seconds: float
    peak: int


class Run(NamedTuple):
    """A command as it ran.

    Attributes:
        seconds: wall time.
        peak: resident memory of the command's own process and of its largest stage together, bytes.
        stages: those that ran, in order.
        printed: what the command wrote.
    """

    seconds: float
    peak: int
    stages: list[Stage]
    printed: str


def project(celeba: Path, weights: str | Path, folder: Path, overrides: Mapping[str, Any], source: Path = ROOT) -> Path:
    """Clone a repository's last commit, with nothing computed and params/celeba.yaml as its parameters.

    Args:
        celeba: holds the files of `DATASET`; they are linked to.
        weights: what backbone.weights shall be: an .h5 file or `random`.
        folder: of the clone; must not exist.
        overrides: parameters by dotted key.
        source: the repository.

    Returns:
        `folder`.
    """
    subprocess.run(["git", "clone", "--quiet", str(source), str(folder)], check=True)
    (folder / "dvc.lock").unlink()
    (folder / "data" / "celeba").mkdir(parents=True)
    for name in DATASET.values():
        (folder / "data" / "celeba" / name).symlink_to((celeba / name).resolve(strict=True))
    (folder / "params.yaml").write_bytes((folder / "params" / "celeba.yaml").read_bytes())
    dataset = {f"dataset.{key}": f"data/celeba/{name}" for key, name in DATASET.items()}
    known = weights if weights == "random" else str(Path(weights).resolve(strict=True))
    change_params(folder, {**dataset, "sample_data.images": 20, "backbone.weights": known, **overrides})
    return folder


def change_params(folder: Path, changes: Mapping[str, Any]) -> None:
    """Set parameters of a project by dotted key.

    Raises:
        KeyError: there is no such parameter.
    """
    params = read_params(folder)
    for dotted, value in changes.items():
        group, key = dotted.split(".")
        if key not in params[group]:
            raise KeyError(dotted)
        params[group][key] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def read_params(folder: Path) -> dict[str, dict[str, Any]]:
    """Read a project's params.yaml."""
    params: dict[str, dict[str, Any]] = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    return params


def measured_repro(folder: Path, *arguments: str) -> Run:
    """Run `dvc repro` in a project, with more arguments if any, and measure it and every stage that it runs."""
    return measured(["dvc", "repro", *arguments], folder)


def measured(command: Sequence[str], folder: Path) -> Run:
    """Run a command in `folder` and measure it.

    A stage's time is exact to 0.1 s, and its memory but for what it grows by in the last 0.05 s.

    Raises:
        SystemExit: the command fails; what it printed is the message.
    """
    environment = os.environ | {
        # The project's own library, and not the installed one.
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
        raise SystemExit(f"{' '.join(command)} in {folder} failed:\n{printed}")
    return Run(seconds, peak + max((stage.peak for stage in stages), default=0), stages, printed)


def _watch(process: psutil.Popen) -> tuple[int, list[Stage]]:
    """Give a process's peak memory and its stages, once it has ended."""
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
                # The first look at a child may find a fork before its exec, which shows its parent's memory.
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
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return ""
    if len(words) < 3 or words[1] != "-m" or not words[2].startswith("stages."):
        return ""
    return "@".join([words[2].removeprefix("stages."), *words[3:4]])


def peak_memory(pid: int | str = "self") -> int:
    """Give a process's highest resident memory up to now, bytes; 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def settings(texts: Sequence[str]) -> dict[str, Any]:
    """Read what --set is given, KEY=VALUE each, as parameters by dotted key."""
    return {key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in texts)}


def say(text: str) -> None:
    """Tell on standard error what is under way; standard output is for tables."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Give a Markdown table: the first column to the left, the others, which are numbers, to the right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def megabytes(size: float) -> str:
    """Write bytes as MB (10^6 bytes)."""
    return f"{size / 1e6:,.0f} MB"


def stage_table(run: Run) -> str:
    """Give the table of a run's stages."""
    return table(
        ["Stage", "Wall time", "Peak memory"],
        [
            *((stage.name, f"{stage.seconds:.1f} s", megabytes(stage.peak)) for stage in run.stages),
            ("all, with DVC", f"{run.seconds:.1f} s", megabytes(run.peak)),
        ],
    )
