"""Faults while stages run, at moments drawn from a seed: each is judged by what a stage tells and leaves behind.

A project runs undisturbed once. In a second one, each stage is killed, interrupted, starved of memory and of disk space
before `dvc repro` runs it; a fault may stop a stage, but never change an out.
"""

import contextlib
import hashlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml

from tests.functional.project import GIT, TINY, environment, make_project, run, use_small_backbone

FINISHED, REFUSED, STOPPED = "finished", "refused", "stopped"
"""What may happen: the stage ends with the right outs; an error of one line; it is gone, as the fault wants it."""
STUCK = "stuck"
"""Only where memory is limited: a numerical library waits for memory for ever."""
CRASHED, WRONG, LOST = "crashed", "wrong", "lost"
"""What must not: a traceback, several lines or no end; an out with other bytes; a damaged object in DVC's cache."""

SECONDS = 120
"""After which a process hangs."""

FURTHER = {
    "images": "data/synthetic/img_align_celeba.zip",
    "attributes": "data/synthetic/list_attr_celeba.csv",
    "identities": "params/no_identities.txt",
}
CHANGES = TINY | {
    "synthetic_data.images": 240,  # From 200 on, worker processes draw them.
    "partition.train": 120,
    "backbone.weights": "random",
    "backbone.trainable_from": "head",
    "cache.checkpoint_minutes": 0.0001,
    "evaluate.datasets": {"more": FURTHER},
}
WATCHED = ("metrics/train", "metrics/plots/train")
"""Outs that grow while training runs."""


class Stage(NamedTuple):
    """A stage as dvc.lock has it, with the seconds of its imports and of all of it, and its peak memory in bytes."""

    name: str
    command: tuple[str, ...]
    outs: tuple[str, ...]
    imported: float = 0
    seconds: float = 0
    memory: int = 0


class Score:
    """Counts verdicts by the kind of fault, and keeps reports of what must not happen."""

    def __init__(self) -> None:
        """Begin with none."""
        self.counts: dict[str, Counter[str]] = {}
        self.reports: list[str] = []

    def add(self, kind: str, verdict: str, report: str) -> None:
        """Count a verdict."""
        self.counts.setdefault(kind, Counter())[verdict] += 1
        if verdict in (CRASHED, WRONG, LOST):
            self.reports.append(f"{kind}: {verdict}: {report}")


def make_start(folder: Path) -> Path:
    """Make a project with a small network, further test images, and all stages."""
    project = make_project(folder, CHANGES)
    use_small_backbone(project)
    network = project / "src" / "facegender" / "network" / "backbone.py"
    # As many features as InceptionV3 has, for the cut `head`.
    network.write_text(network.read_text(encoding="utf-8").replace("Conv2D(8,", "Conv2D(2048,"), encoding="utf-8")
    shutil.copy(Path(__file__).parents[2] / ".gitignore", project)
    run(project, "git", "add", "--all")
    run(project, *GIT, "commit", "--quiet", "-m", "a small network")
    return project


def lock_of(project: Path) -> Any:
    """Read the stages in dvc.lock."""
    return yaml.safe_load((project / "dvc.lock").read_text(encoding="utf-8"))["stages"]


def stages_of(project: Path) -> list[Stage]:
    """List the stages in the order in which they ran."""
    return [
        Stage(name, tuple(stage["cmd"].split()), tuple(out["path"] for out in stage["outs"]))
        for name, stage in lock_of(project).items()
    ]


def content(path: Path) -> dict[str, bytes] | None:
    """Return the files of an out by their names, or None if it does not exist."""
    if path.is_dir():
        return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return {"": path.read_bytes()} if path.exists() else None


def remove(path: Path) -> None:
    """Delete a file or folder if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def damaged_objects(project: Path) -> list[Path]:
    """List the objects of DVC's cache whose MD5 sum is not their name."""
    objects = (path for path in (project / ".dvc/cache/files/md5").glob("??/*") if len(path.stem) == 30)
    return [path for path in objects if hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.stem]


def start(project: Path, command: tuple[str, ...], **options: Any) -> "subprocess.Popen[str]":
    """Start a command in a group of processes of its own."""
    # A job in the background ignores Ctrl-C, and so would what it starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings: dict[str, Any] = {"env": environment(project), "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    settings |= options
    return subprocess.Popen(
        command, cwd=project, encoding="utf-8", errors="replace", start_new_session=True, **settings
    )


def end(process: "subprocess.Popen[str]", seconds: float = SECONDS) -> str | None:
    """Wait for a process and return what it wrote to standard error, or None if it had to be killed."""
    try:
        return process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None


def signal_group(process: "subprocess.Popen[str]", number: int) -> None:
    """Send a signal to a process and all that it started, as a terminal does; it may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


ONE_LINE = re.compile(r"error: .+: .+; .+|error: interrupted; .+")


def told(status: int, errors: str | None, stopped_by: int | None = None) -> tuple[str, str]:
    """Judge how a stage ended.

    Args:
        status: its exit status.
        errors: what it wrote to standard error; None if it did not end.
        stopped_by: a signal that may end it without a word.

    Returns:
        The verdict, and a report.
    """
    if errors is None:
        return CRASHED, f"no end within {SECONDS} s"
    lines = errors.strip().splitlines()
    if status == 0:
        return (CRASHED, errors[-300:]) if lines else (FINISHED, "")
    if lines == [] and stopped_by is not None and status == -stopped_by:
        return STOPPED, ""
    if len(lines) == 1 and ONE_LINE.fullmatch(lines[0]):
        return REFUSED, lines[0]
    return CRASHED, f"status {status}, {len(lines)} lines: {errors[-300:]}"


def judge(project: Path, undisturbed: Path, stage: Stage, verdict: str, report: str) -> tuple[str, str]:
    """Check that each out of a stage is whole or not there, and that what finished has written all."""
    for out in stage.outs:
        if out.startswith(WATCHED) and verdict != FINISHED:
            continue
        found = content(project / out)
        if found != content(undisturbed / out) and (found is not None or verdict == FINISHED):
            return WRONG, f"{out} is {'missing' if found is None else 'not whole'} ({verdict} {report})"
    return verdict, report


def measure(project: Path, stage: Stage) -> Stage:
    """Run a stage twice, the first time only its imports, and measure it."""
    began = time.monotonic()
    run(project, "python", "-c", f"import {stage.command[2]}")
    imported = time.monotonic() - began
    began = time.monotonic()
    process = start(project, stage.command)
    memory = 0
    while process.poll() is None:
        with contextlib.suppress(OSError, AttributeError, TypeError):
            memory = max(memory, int(re.search(r"VmPeak:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]))  # type: ignore[index]
        time.sleep(0.005)
    assert end(process) is not None
    assert process.returncode == 0, stage
    return stage._replace(imported=imported, seconds=time.monotonic() - began, memory=memory * 1024)


def killed(project: Path, stage: Stage, chance: random.Random, number: int) -> tuple[str, str] | None:
    """Send a signal to a stage at a random moment, mostly after its imports; None if it had already ended."""
    first = stage.imported * 0.9 if chance.random() < 0.8 else 0.1
    process = start(project, stage.command)
    time.sleep(chance.uniform(first, stage.seconds))
    running = process.poll() is None
    signal_group(process, number)
    errors = end(process)
    return told(process.returncode, errors, stopped_by=number) if running else None


def starved_of_memory(project: Path, stage: Stage, chance: random.Random) -> tuple[str, str]:
    """Limit the address space to a part of what the stage needs."""
    limit = int(stage.memory * chance.uniform(0.8, 0.99))
    process = start(
        project,
        stage.command,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        env=environment(project) | {"PYTHONFAULTHANDLER": "1"},
    )
    try:
        errors = process.communicate(timeout=max(20, 5 * stage.seconds))[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        errors = end(process) or ""
        # OpenBLAS asks for memory again and again, for ever.
        return (STUCK, "") if re.search("(numpy|scipy|sklearn)/", errors) else (CRASHED, f"no end: {errors[:300]}")
    # C++ ends the process by SIGABRT, and no program can prevent that.
    return (STOPPED, "") if process.returncode == -signal.SIGABRT else told(process.returncode, errors)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """Mount a disk of this size at `folder`; yield whether that is allowed."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(disk: Path, free: int) -> Iterator[None]:
    """Leave this number of bytes free on a disk."""
    ballast = disk / "ballast"
    status = os.statvfs(disk)
    ballast.write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - free)))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only: for root, who may write anyway, by mounting it."""
    if os.geteuid():
        mode = folder.stat().st_mode
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(mode)
        return
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def plain(project: Path, stage: Stage, **options: Any) -> tuple[str, str]:
    """Run a stage and judge how it ended."""
    process = start(project, stage.command, **options)
    errors = end(process)
    return told(process.returncode, errors)


def size_of(project: Path, stage: Stage) -> int:
    """Return the bytes of a stage's outs in a finished project."""
    return sum(len(data) for out in stage.outs for data in (content(project / out) or {}).values())


def fault_library() -> Path | None:
    """Return libfaketime for programs with threads if it is installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    chosen = os.environ.get("FAKETIME_LIBRARY") or next(map(str, found), None)
    return Path(chosen) if chosen else None


def without_a_worker(project: Path, stage: Stage, chance: random.Random) -> tuple[str, str] | None:
    """Kill one of the processes that a stage starts, as the system does if memory runs out; None if it was too late."""
    process = start(project, stage.command)
    workers: list[psutil.Process] = []
    while process.poll() is None and not workers:
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(process.pid).children(recursive=True)
            workers = [child for child in children if any("LokyProcess" in word for word in child.cmdline())]
    time.sleep(chance.uniform(0, (stage.seconds - stage.imported) / 2))
    with contextlib.suppress(psutil.Error, IndexError):
        workers[0].kill()
    errors = end(process)
    return told(process.returncode, errors) if process.returncode else None


CLOCKS = {
    "1970": "@1970-01-01 00:00:10",
    "2001": "@2001-09-09 01:46:40",
    "2039": "@2039-01-01 00:00:00",
    "2120": "@2120-01-01 00:00:00",
}
"""Without a battery; the past; after 2^31 seconds; beyond what a zip file can hold."""


JUMPS = ("-30y", "-1h", "+1h", "+80y")
"""How far the clock is set back or forward."""


def with_jumping_clock(project: Path, stage: Stage, chance: random.Random, library: Path) -> tuple[str, str] | None:
    """Set the clock to another time while a stage runs; None if it had already ended."""
    offset, next_offset = project.parent / "clock", project.parent / "next-clock"
    offset.write_text("+0")
    next_offset.write_text(chance.choice(JUMPS))
    clock = {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1"}
    process = start(project, stage.command, env=environment(project) | faked(library) | clock)
    time.sleep(chance.uniform(stage.imported * 0.9, stage.seconds))
    running = process.poll() is None
    next_offset.replace(offset)
    errors = end(process)
    return told(process.returncode, errors) if running else None


def faked(library: Path) -> dict[str, str]:
    """Return variables with which a program's clock is faked, except the one that measures intervals."""
    return {"LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Counts(NamedTuple):
    """How many faults of a kind each stage meets."""

    kills: int
    interruptions: int
    memory: int
    disk: int
    folders: int
    clocks: int
    jumps: int
    workers: int


def faults_of_stage(
    project: Path,
    undisturbed: Path,
    disk: Path | None,
    stage: Stage,
    counts: Counts,
    chance: random.Random,
    score: Score,
) -> None:
    """Let a stage meet all faults of a running stage, none of its outs being there, and judge each."""
    stage = measure(project, stage)
    for out in stage.outs:
        remove(project / out)

    def one(kind: str, fault: Callable[[], tuple[str, str] | None]) -> bool:
        found = fault()
        if found is None:
            return False
        verdict, report = judge(project, undisturbed, stage, *found)
        score.add(kind, verdict, f"{stage.name}: {report}")
        if verdict == FINISHED:
            for out in stage.outs:
                remove(project / out)
        return True

    def several(count: int, kind: str, fault: Callable[[], tuple[str, str] | None]) -> None:
        """Try again what came too late, but not for ever."""
        done = 0
        for _ in range(3 * count):
            done += done < count and one(kind, fault)

    several(counts.kills, "kill -9", lambda: killed(project, stage, chance, signal.SIGKILL))
    several(counts.interruptions, "Ctrl-C", lambda: killed(project, stage, chance, signal.SIGINT))
    for _ in range(counts.memory):
        one("memory limit", lambda: starved_of_memory(project, stage, chance))
    if disk is not None:
        size = size_of(undisturbed, stage)
        for _ in range(counts.disk):
            # What the lock and small files need may be there or not.
            with full(disk, chance.choice((0, chance.randrange(0, max(1, size // 2) + 1)))):
                one("full disk", lambda: plain(project, stage))
    # Root may write anyway, unless the folder is mounted.
    if disk is not None or os.geteuid():
        tops = [*sorted({Path(out).parts[0] for out in stage.outs}), ".cache"]
        for top in chance.sample(tops, min(counts.folders, len(tops))):
            with read_only(project / top):
                one("read-only folder", lambda: plain(project, stage))
    library = fault_library()
    # With libfaketime 0.9.10, time.sleep of Python 3.11 and later fails (Invalid argument), which joblib uses.
    if library is not None and stage.name != "synthetic_data":
        for year in chance.sample(sorted(CLOCKS), counts.clocks):
            clock = faked(library) | {"FAKETIME": CLOCKS[year]}
            one("clock", lambda clock=clock: plain(project, stage, env=environment(project) | clock))  # type: ignore[misc]
        several(counts.jumps, "clock jumps", lambda: with_jumping_clock(project, stage, chance, library))
    if stage.name == "synthetic_data":
        for _ in range(counts.workers):
            one("killed worker", lambda: without_a_worker(project, stage, chance))
    for out in stage.outs:
        remove(project / out)


def check_project(kind: str, project: Path, undisturbed: Path, score: Score, only: str | None = None) -> None:
    """Run `dvc repro`, check that all outs are those of the undisturbed project and DVC's cache is whole; count it.

    Args:
        kind: of the check, for the score.
        project: the project.
        undisturbed: the other one.
        score: to count it in.
        only: run and check this stage alone.
    """
    before = len(score.reports)
    process = start(project, ("dvc", "repro", *(("--single-item", only) if only else ())))
    errors = end(process, 10 * SECONDS)
    if process.returncode or errors is None:
        score.add(kind, CRASHED, f"dvc repro: {(errors or 'no end')[-300:]}")
        return
    lock, expected = lock_of(project), lock_of(undisturbed)
    stages = [stage for stage in stages_of(undisturbed) if only in (None, stage.name)]
    for stage in stages:
        if lock.get(stage.name) != expected[stage.name]:
            score.add(kind, WRONG, f"{stage.name} in dvc.lock differs")
        for out in stage.outs:
            if content(project / out) != content(undisturbed / out):
                score.add(kind, WRONG, f"{out} differs")
    for path in damaged_objects(project):
        score.add(kind, LOST, f"DVC's {path}")
    if len(score.reports) == before:
        score.add(kind, FINISHED, only or "")


AFTER = "dvc repro afterwards"


def faults_of_stages(
    project: Path,
    undisturbed: Path,
    disk: Path | None,
    counts: Counts,
    seed: int,
    score: Score,
    wanted: Collection[str] = (),
) -> None:
    """Let an instance of each stage in dvc.yaml meet the faults of a running stage, then run it by `dvc repro`.

    Args:
        project: the project, in which nothing has run.
        undisturbed: the other one.
        disk: a small disk with the project; None if nothing can be mounted.
        counts: of faults.
        seed: of the moments.
        score: to count in.
        wanted: stages as in dvc.yaml; all if empty. The others run without faults.
    """
    seen = set()
    for stage in stages_of(undisturbed):
        definition = stage.name.partition("@")[0]
        if definition not in seen and (not wanted or definition in wanted):
            print(f"faults: {stage.name}", flush=True)
            chance = random.Random(f"{stage.name} {seed}")
            faults_of_stage(project, undisturbed, disk, stage, counts, chance, score)
            seen.add(definition)
        check_project(AFTER, project, undisturbed, score, only=stage.name)
    check_project(AFTER, project, undisturbed, score)


def repro_killed(project: Path, undisturbed: Path, count: int, chance: random.Random, score: Score) -> None:
    """Kill `dvc repro`, its stage, or both, at random moments, until the pipeline is done."""
    log = project.parent / "repro.log"
    groups = []
    for _ in range(count):
        with log.open("w") as output:
            process = start(project, ("dvc", "repro"), stdout=output, stderr=output)
            groups.append(process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.5, 9))
            whom = chance.choice(("all", "dvc", "stage"))
            verdict, report = STOPPED, ""
            if process.poll() is not None:
                verdict, report = told_by_dvc(process.returncode, log.read_text())
            elif whom == "all":
                signal_group(process, signal.SIGKILL)
            elif whom == "dvc" or not (children := psutil.Process(process.pid).children(recursive=True)):
                # Its stage goes on.
                process.kill()
            else:
                for child in children:
                    child.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                # Unless DVC has ended, it was not yet the stage.
                signal_group(process, signal.SIGKILL)
            process.wait()
        score.add("kill -9 of dvc repro", verdict, report)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    check_project(AFTER, project, undisturbed, score)


def told_by_dvc(status: int, printed: str) -> tuple[str, str]:
    """Judge how `dvc repro` ended by itself: it may say that the folder is busy, or pass on a stage's one line."""
    if status == 0:
        return FINISHED, ""
    lines = [line for line in printed.splitlines() if line.startswith("error: ")]
    busy = "is busy, it is being blocked by" in printed or "Unable to acquire lock" in printed
    if "Traceback" not in printed and (busy or (len(lines) == 1 and ONE_LINE.fullmatch(lines[0]))):
        return REFUSED, lines[0] if lines else "busy"
    return CRASHED, printed[-400:]


LATE = ("baseline", "evaluate", "evaluate_dataset@more", "slices", "mistakes", "eda", "report")


def forget(project: Path, names: tuple[str, ...]) -> None:
    """Forget that stages ever ran."""
    lock = yaml.safe_load((project / "dvc.lock").read_text(encoding="utf-8"))
    for name in names:
        for out in lock["stages"].pop(name)["outs"]:
            remove(project / out["path"])
    (project / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
    remove(project / ".dvc" / "cache" / "runs")


def two_at_once(project: Path, undisturbed: Path, rounds: int, chance: random.Random, score: Score) -> None:
    """Start `dvc repro` twice, for the same target and for different ones."""
    for number in range(rounds):
        forget(project, LATE)
        same = number % 2 == 0
        kind = f"two dvc repro, {'the same target' if same else 'different targets'}"
        targets = ((), ()) if same else (("evaluate",), ("eda",))
        processes, logs = [], []
        for place, target in enumerate(targets):
            logs.append(project.parent / f"{place}.log")
            with logs[-1].open("w") as output:
                processes.append(start(project, ("dvc", "repro", *target), stdout=output, stderr=output))
            time.sleep(chance.uniform(0, 4))
        for process, log in zip(processes, logs, strict=True):
            process.wait(600)
            score.add(kind, *told_by_dvc(process.returncode, log.read_text()))
        check_project(AFTER, project, undisturbed, score)


def damage(data: bytes, chance: random.Random) -> bytes:
    """Cut or empty a file, fill it with zeros as a power loss does, or change a bit, often near its start."""
    data = data or b"empty"
    match chance.randrange(5):
        case 0:
            return data[: chance.randrange(len(data))]
        case 1:
            return bytes(len(data)) if any(data) else b""
        case 2:
            return b""
        case _:
            place = chance.randrange(len(data) if chance.random() < 0.5 else min(64, len(data)))
            return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def cache_damaged(project: Path, undisturbed: Path, rounds: int, chance: random.Random, score: Score) -> None:
    """Damage what .cache holds: features, states of training, and the files of locks and costs."""
    by_name = {stage.name: stage for stage in stages_of(undisturbed)}
    cache = project / ".cache"

    def run_on_damage(kind: str, stage: Stage, *paths: Path) -> None:
        for path in paths:
            path.write_bytes(damage(path.read_bytes(), chance))
        for out in stage.outs:
            remove(project / out)
        verdict, report = judge(project, undisturbed, stage, *plain(project, stage))
        score.add(kind, verdict, f"{stage.name}: {report}")

    features = [stage for stage in by_name.values() if stage.name.startswith("features")]
    for _ in range(rounds):
        for stage in features:
            run_on_damage(".cache/features damaged", stage, *(cache / "features").glob("*/*"))
        small = [path for folder in ("locks", "costs") for path in (cache / folder).iterdir() if path.stat().st_size]
        run_on_damage(".cache/locks, costs damaged", by_name[chance.choice(("check", "slices", "partition"))], *small)

    train, states = by_name["train"], cache / "training"
    process = start(project, train.command)
    while len(list(states.glob("*/epoch-0001*"))) < 2 and process.poll() is None:
        time.sleep(0.001)
    signal_group(process, signal.SIGKILL)
    end(process)
    kept = project.parent / "states"
    shutil.copytree(states, kept)
    for number in range(rounds + 1):
        remove(states)
        shutil.copytree(kept, states)
        files = sorted(path for path in states.glob("*/epoch-*/*") if path.stat().st_size)
        # The first time undamaged.
        run_on_damage("state of training damaged", train, *([chance.choice(files)] if number else []))


def times_changed(project: Path, undisturbed: Path, score: Score) -> None:
    """Set the times of all files to the past and to the future, and run everything."""
    for year in (1980, 2100):
        seconds = (year - 1970) * 365.25 * 86400
        for path in project.rglob("*"):
            if not path.is_symlink():
                os.utime(path, (seconds, seconds))
        check_project("times of all files", project, undisturbed, score)
        forget(project, LATE)
        check_project("times of all files", project, undisturbed, score)


def objects_damaged(project: Path, undisturbed: Path, rounds: int, chance: random.Random, score: Score) -> None:
    """Damage an object in DVC's cache, with or without its outs being there; find it, and run everything."""
    kind = "damaged object of DVC"
    for _ in range(rounds):
        stage = chance.choice([stage for stage in stages_of(project) if stage.name not in ("check", "processor")])
        objects = (out["md5"] for out in lock_of(project)[stage.name]["outs"] if "md5" in out)
        paths = [project / ".dvc/cache/files/md5" / md5[:2] / md5[2:] for md5 in objects]
        path = chance.choice([path for path in paths if path.exists()])
        if chance.random() < 0.5:
            for out in stage.outs:
                remove(project / out)
        path.chmod(0o644)
        path.write_bytes(damage(path.read_bytes(), chance))
        path.chmod(0o444)
        process = start(project, ("facegender", "cache", "--verify"))
        errors = end(process) or ""
        found = process.returncode == 1 and errors.startswith("error: DVC's cache: 1 of ")
        score.add(kind, REFUSED if found else CRASHED, errors[-300:])
        check_project(AFTER, project, undisturbed, score)
