"""Stage processor: the kind of processor that trained the model; it runs if the model's bytes have changed."""

from facegender.cache import alone
from facegender.errors import one_line_errors
from facegender.files import write_json
from facegender.processor import this_processor
from facegender.reporting.costs import recorded_cost
from facegender.repository.processor import KEY, RECORD


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write metrics/processor.json."""
    kind = this_processor()
    write_json(RECORD, {KEY: kind})
    print(f"processor: {kind}")


if __name__ == "__main__":
    main()
