"""Stage check: check params.yaml and its paths first, before DVC deletes the outs of stages that cannot run."""

from pathlib import Path

from facegender.cache import alone
from facegender.errors import one_line_errors
from facegender.files import whole_file
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.repository.check import check_inputs


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write data/checked.txt, which says nothing but that params.yaml was checked in this folder."""
    for remark in check_inputs(load_params(), pulled=False):
        print(f"check: {remark}")
    with whole_file(Path("data/checked.txt")) as partial:
        partial.write_text("checked\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
