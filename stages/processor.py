"""Stage processor: the kind of processor that trained the model; it runs only if the model's bytes have changed."""

from facegender.errors import one_line_errors
from facegender.files import whole_file
from facegender.reporting.costs import recorded_cost
from facegender.repository.processor import RECORD, this_processor


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write metrics/processor.txt."""
    kind = this_processor()
    with whole_file(RECORD) as partial:
        partial.write_text(f"{kind}\n", encoding="utf-8", newline="\n")
    print(f"processor: {kind}")


if __name__ == "__main__":
    main()
