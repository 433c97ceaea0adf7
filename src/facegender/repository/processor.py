"""The record of the kind of processor that computed the model, which decides the last digits of its numbers."""

import json
from pathlib import Path

from facegender.errors import FacegenderError

RECORD = Path("metrics/processor.json")
"""Written by the stage processor, which runs only if the trained model's bytes have changed."""

KEY = "processor"


def recorded_processor() -> str | None:
    """Return the kind of processor that trained this folder's model, from RECORD; None if there is no such file.

    Raises:
        FacegenderError: the file cannot be read.
    """
    try:
        return str(json.loads(RECORD.read_text(encoding="utf-8"))[KEY])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FacegenderError(RECORD, f"cannot be read ({error})", f"run: git restore {RECORD.as_posix()}") from error
