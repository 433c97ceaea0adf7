"""Stage sample_data: draw the embedded data set of faces in CelebA's format."""

from pathlib import Path

from facegender.errors import one_line_errors
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.synthetic.dataset import write_sample


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write the sample under data/sample."""
    params = load_params()
    write_sample(Path("data/sample"), params.sample_data.images, params.sample_data.seed)


if __name__ == "__main__":
    main()
