"""What a model is and how good it is: a file beside the model, such as models/gender.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facegender.errors import FacegenderError
from facegender.evaluation.verdict import Standing, Verdict
from facegender.files import md5_of
from facegender.network.sidecar import Sidecar, restore

DEMO = "Demo model: trained on drawn faces. On photographs its answers mean nothing."


class Description(Sidecar, total=False):
    """A model's sidecar, and what the stage evaluate found.

    Attributes:
        model_md5: MD5 sum of the model file.
        test_images: number of test images.
        metrics: value, low and high (the ends of the 95% interval) of metrics on test images, by name.
        standing: whether the model is more accurate than its baseline: `better`, `worse` or `unclear`.
        sentence: the same in a sentence.
    """

    model_md5: str
    test_images: int
    metrics: dict[str, dict[str, float]]
    standing: Standing
    sentence: str


def verdict_of(description: Mapping[str, Any]) -> Verdict:
    """Return the verdict against the baseline in a `Description`."""
    return Verdict(description["standing"], description["sentence"])


def read_description(model: str | Path) -> Description | None:
    """Read the description beside a model file, NAME.json; None if there is none.

    Raises:
        FacegenderError: it cannot be read, or describes another model.
    """
    path = Path(model).with_suffix(".json")
    if not path.exists():
        return None
    try:
        description: Description = json.loads(path.read_text(encoding="utf-8"))
        described = description["model_md5"]
    except OSError as error:
        raise FacegenderError(path, error.strerror or str(error), restore(path)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FacegenderError(path, "damaged, or not what the stage evaluate writes", restore(path)) from error
    if described != md5_of(model):
        what = f"does not describe {model}: one of the two is damaged or from another run"
        raise FacegenderError(path, what, f"run: dvc checkout --force {model} {path}, or: dvc repro")
    return description


def notices(described: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what whoever uses a model must know first, a sentence each.

    Args:
        described: its sidecar or description. Models of earlier versions do not say what they were trained on.
    """
    found = [DEMO] if described.get("drawn") else []
    if described.get("standing", "better") != "better":
        found.append(described["sentence"])
    return tuple(found)
