"""Stage synthetic_data: make the default data set of synthetic faces in CelebA's format."""

from pathlib import Path

from facegender.cache import alone
from facegender.errors import one_line_errors
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.synthetic.dataset import write_sample


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write data/synthetic."""
    group = load_params().synthetic_data
    write_sample(Path("data/synthetic"), group.images, group.seed)
    print(f"synthetic_data: {group.images:,} faces")


if __name__ == "__main__":
    main()
