"""Run all cases of wrong input, and print how often each verdict was given; ends with 1 for crashes and losses."""

import os
import sys
import tempfile
from pathlib import Path

from tests.faults.inputs import CONVERTED, CRASHED, LOST, NUMBERS, READ, REFUSED, run

VERDICTS = (REFUSED, READ, CONVERTED, CRASHED, LOST)


def main() -> None:
    """Run the cases."""
    # What libraries write to standard error would reach a user's terminal, too.
    kept = os.dup(2)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        counts, reports = run(NUMBERS, Path(folder))
        os.dup2(kept, 2)
        written.seek(0)
        noise = written.read().decode(errors="replace")
    print(f"{'':8}{'tried':>8}", *(f"{verdict:>9}" for verdict in VERDICTS))
    for kind, count in counts.items():
        print(f"{kind:8}{count.total():8}", *(f"{count[verdict]:9}" for verdict in VERDICTS))
    total = sum(counts.values(), start=type(next(iter(counts.values())))())
    print(f"{'all':8}{total.total():8}", *(f"{total[verdict]:9}" for verdict in VERDICTS))
    print(*reports[:20], sep="\n")
    if noise:
        print(f"written to standard error by libraries:\n{noise[:2000]}")
    sys.exit(bool(reports or noise))


if __name__ == "__main__":
    main()
