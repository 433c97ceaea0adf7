"""CSV tables: the same bytes for the same content, and image ids that stay text."""

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from facegender.files import whole_file

if TYPE_CHECKING:
    import pandas as pd

DECIMALS = 6
"""Decimals of written metrics and probabilities: the last digits of a float differ between machines."""


def write_csv(path: str | Path, table: "pd.DataFrame") -> None:
    """Write `table` without its index, with line feeds on every system."""
    with whole_file(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")


def read_table(source: str | Path | TextIO) -> "pd.DataFrame":
    """Read a table that `write_csv` wrote, with `image_id` as str: "NA" and "007" are ids like any other."""
    import pandas as pd  # It takes half a second to load, and the command line does not need it.

    return pd.read_csv(source, dtype={"image_id": str}, keep_default_na=False)
