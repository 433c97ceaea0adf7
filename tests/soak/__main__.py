"""Put the app and batch prediction under load for some minutes, and print what happened; ends with 1 for faults."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.soak.load import growth, run

MOST_GROWTH = 0.2
"""Of a process's median memory, from the first third of the run to the last; in runs of 30 minutes it was 1 to 11%."""


def main() -> None:
    """Run the load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=Path("models/gender.onnx"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(arguments.model, Path(folder), 60 * arguments.minutes, arguments.seed))
    print(f"| {'Request':28} | Answered | {'p50':>7} | {'p99':>7} | Statuses |\n|---|---:|---:|---:|---|")
    for kind, statuses in sorted(report.statuses.items()):
        seconds = report.seconds.get(kind)
        times = [f"{1000 * np.percentile(seconds, share):.0f} ms" for share in (50, 99)] if seconds else ["", ""]
        told = ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()))
        print(f"| {kind:28} | {statuses.total():8,} | {times[0]:>7} | {times[1]:>7} | {told} |")
    faults = [*report.faults]
    for name, memory in report.memory.items():
        first, last, most = growth(memory)
        grown = f"{first:.0f} MB in the first third, {last:.0f} MB in the last ({last / first - 1:+.1%})"
        print(f"memory of {name}: {grown}, at most {most:.0f} MB")
        if last > (1 + MOST_GROWTH) * first:
            faults.append(f"{name}: memory grew by more than {MOST_GROWTH:.0%}")
    print(f"faults: {len(faults)}", *faults[:20], sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
