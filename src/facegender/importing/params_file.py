"""A whole params.yaml for imported images, or for CelebA: one of the files in params/, filled in."""

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML

from facegender.errors import FacegenderError
from facegender.importing.outputs import ATTRIBUTE_LIST, IDENTITY_LIST, IMAGES, PARTITION_LIST

CELEBA, PORTRAITS = Path("params/celeba.yaml"), Path("params/portraits.yaml")

WHOLE_NETWORK_FROM = 5000
"""Training images from which CELEBA is used. It trains the whole network, which fewer images overfit, and its warm-up
would be much of the training."""

UNKNOWN_IDENTITIES = "params/no_identities.txt"


class ParamsFile(NamedTuple):
    """A params.yaml.

    Attributes:
        text: its content.
        template: the file in params/ that it was made of.
        counts: images in train, val and test.
        weights: what it says about the weights that training starts from.
        precision: of training.
    """

    text: str
    template: Path
    counts: dict[str, int]
    weights: str
    precision: str


def fill_in(
    title: str,
    dataset: Mapping[str, str],
    available: Mapping[str, int],
    weights: Path | None,
    multiplies_bfloat16: Callable[[], bool],
) -> ParamsFile:
    """Fill in the file in params/ that suits the number of images; its comments stay.

    Args:
        title: the first line, a comment.
        dataset: the paths under `dataset`, as `dataset_paths` returns them.
        available: the most images, half of each class, that train, val and test can have. A split gets as many, up to
            what the file says. If there are none, it gets 2, and the stage partition says which class is missing.
        weights: an .h5 file of InceptionV3 without its top; None for ImageNet's.
        multiplies_bfloat16: called if the file says bfloat16; if this machine does not, it becomes float32.

    Raises:
        FacegenderError: as `check_before`.
    """
    check_before(weights)
    template = CELEBA if available["train"] >= WHOLE_NETWORK_FROM else PORTRAITS
    text = template.read_text(encoding="utf-8")
    yaml = YAML()
    yaml.width = 10_000  # Long paths stay on one line.
    params = yaml.load(text)
    params["dataset"].update(dataset)
    counts = {split: max(2, min(params["partition"][split], most)) for split, most in available.items()}
    params["partition"].update(counts)
    if weights is not None:
        params["backbone"].update(weights="file", weights_file=project_path(weights))
    train = params["train"]
    if train["precision"] == "bfloat16" and not multiplies_bfloat16():
        train["precision"] = "float32"
    written = io.StringIO()
    yaml.dump(params, written)
    body = written.getvalue().partition("\n")[2]
    described = "ImageNet's, which Keras downloads once (88 MB)" if weights is None else f"those in {weights}"
    return ParamsFile(f"# {title}\n{body}", template, counts, described, train["precision"])


def check_before(weights: Path | None) -> None:
    """Check what `fill_in` needs, before an import that takes long.

    Raises:
        FacegenderError: the weights are not an .h5 file, or this is not the project's folder.
    """
    for template in (CELEBA, PORTRAITS):
        if not template.is_file():
            raise FacegenderError(template, "no such file", "run this in the project's folder")
    if weights is not None and not (weights.suffix == ".h5" and weights.is_file()):
        raise FacegenderError(weights, "no such .h5 file", "name a file with weights of InceptionV3 without its top")


def dataset_paths(folder: Path, identities: bool) -> dict[str, str]:
    """Return what belongs under `dataset` for a folder that an import wrote, with or without identities."""
    return {
        "images": project_path(folder / IMAGES),
        "attributes": project_path(folder / ATTRIBUTE_LIST),
        "partitions": project_path(folder / PARTITION_LIST),
        "identities": project_path(folder / IDENTITY_LIST) if identities else UNKNOWN_IDENTITIES,
    }


def project_path(path: Path) -> str:
    """Return a path relative to the current folder, which is the project's, or absolute if it is outside."""
    absolute, here = Path(os.path.abspath(path)), Path.cwd()
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()
