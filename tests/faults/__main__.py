"""Run the faults named in the arguments, `inputs` and `stages` (both by default), and print how each ended.

The names of stages in dvc.yaml stand for the faults of these stages alone, without those of `dvc repro` and of DVC's
cache. The exit status is 1 if something crashed, is wrong, or was lost.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.faults import inputs, running
from tests.functional.project import run

SEED = 18
COUNTS = running.Counts(kills=11, interruptions=1, memory=1, disk=1, folders=1, clocks=1, jumps=1, workers=2)
DISK_MEGABYTES = 600


def main() -> None:
    """Run the cases."""
    wanted = sys.argv[1:] or ["inputs", "stages"]
    names = set(wanted) - {"inputs", "stages"}
    if unknown := names - yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"].keys():
        sys.exit(
            f"error: tests.faults: unknown: {', '.join(sorted(unknown))}; use inputs, stages, or stages in dvc.yaml"
        )
    reports = wrong_input() if "inputs" in wanted else []
    reports += faults_of_stages(names) if names or "stages" in wanted else []
    sys.exit(bool(reports))


def print_table(counts: dict[str, Counter[str]], verdicts: Sequence[str]) -> None:
    """Print how often each verdict was given for each kind, and for all."""
    width = max(map(len, counts))
    print(f"{'':{width}}{'tried':>8}", *(f"{verdict:>9}" for verdict in verdicts))
    total: Counter[str] = sum(counts.values(), start=Counter())
    for kind, count in [*counts.items(), ("all", total)]:
        print(f"{kind:{width}}{count.total():8}", *(f"{count[verdict]:9}" for verdict in verdicts))


def wrong_input() -> list[str]:
    """Read wrong input, and return what crashed or was lost."""
    # What libraries write to standard error would reach a user's terminal, too.
    kept = os.dup(2)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        counts, reports = inputs.run(inputs.NUMBERS, Path(folder))
        os.dup2(kept, 2)
        written.seek(0)
        noise = written.read().decode(errors="replace")
    print_table(counts, (inputs.REFUSED, inputs.READ, inputs.CONVERTED, inputs.CRASHED, inputs.LOST))
    print(*reports[:20], sep="\n")
    return reports + ([f"written to standard error by libraries:\n{noise[:2000]}"] if noise else [])


def faults_of_stages(names: set[str]) -> list[str]:
    """Disturb stages, all unless some are named, and return what crashed, is wrong or was lost."""
    score = running.Score()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = running.make_start(folder / "start")
        undisturbed = folder / "undisturbed"
        run(folder, "git", "clone", "--quiet", str(first), str(undisturbed))
        run(undisturbed, "dvc", "repro")
        with running.small_disk(folder / "disk", DISK_MEGABYTES) as mounted:
            if not mounted:
                print("skipped: full disk and read-only folder, as nothing can be mounted here")
            if running.fault_library() is None:
                print("skipped: clock, as libfaketime is not installed")
            project = folder / "disk" / "project"
            run(folder, "git", "clone", "--quiet", str(first), str(project))
            disk = folder / "disk" if mounted else None
            running.faults_of_stages(project, undisturbed, disk, COUNTS, SEED, score, names)
        if not names:
            run(folder, "git", "clone", "--quiet", str(first), str(folder / "killed"))
            running.repro_killed(folder / "killed", undisturbed, 30, random.Random(SEED), score)
            # Hard links between outs and DVC's cache stay as they are.
            subprocess.run(["cp", "-a", str(undisturbed), str(folder / "copy")], check=True)
            copy = folder / "copy"
            running.two_at_once(copy, undisturbed, 4, random.Random(SEED), score)
            running.cache_damaged(copy, undisturbed, 6, random.Random(SEED), score)
            running.times_changed(copy, undisturbed, score)
            running.objects_damaged(copy, undisturbed, 6, random.Random(SEED), score)
            shutil.rmtree(copy)
    verdicts = (
        *(running.FINISHED, running.REFUSED, running.STOPPED, running.STUCK),
        *(running.CRASHED, running.WRONG, running.LOST),
    )
    print_table(score.counts, verdicts)
    print(*score.reports[:40], sep="\n")
    return score.reports


if __name__ == "__main__":
    main()
