"""Text and JSON for the app and the report, in one line if it cannot be read."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from facegender.errors import FacegenderError


def read_text(path: str | Path, remedy: str) -> str:
    """Read a text file in UTF-8.

    Args:
        path: of the file.
        remedy: what to do if it cannot be read.

    Raises:
        FacegenderError: it cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FacegenderError(path, error.strerror or str(error), remedy) from error
    except UnicodeDecodeError as error:
        raise FacegenderError(path, "not UTF-8 text", remedy) from error


def read_json(path: str | Path, remedy: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: of the file.
        remedy: what to do if it cannot be read.
        keys: that it must have.

    Raises:
        FacegenderError: it cannot be read, is not a JSON object, or a key is missing.
    """
    text = read_text(path, remedy)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FacegenderError(path, f"damaged: not JSON ({error})", remedy) from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing or not isinstance(content, dict):
        raise FacegenderError(path, f"damaged: it lacks {', '.join(missing) or 'keys'}", remedy)
    return content
