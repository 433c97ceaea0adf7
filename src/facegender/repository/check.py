"""Whether the raw data and the weights that params.yaml names are there, before DVC deletes any outs."""

import http.client
import os
import shlex
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from facegender.data import buckets
from facegender.errors import FacegenderError, FacegenderErrors
from facegender.files import check_has_an_end
from facegender.params import Params, is_drawn
from facegender.repository.lock import locked_param

IMAGENET = (
    "https://storage.googleapis.com/tensorflow/keras-applications/"
    "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
"""Where Keras downloads InceptionV3's weights without the top from (keras.applications.inception_v3)."""

EXPERIMENT_COPIES = "/.dvc/tmp/exps/"
"""Folder in which `dvc exp run --temp` and `dvc queue` make copies of the repository."""

_ABOVE_SYNTHETIC = ("mixed6", "mixed7", "mixed8", "mixed9", "mixed10", "head")
"""Cuts below which there are blocks without synthetic weights (`SYNTHETIC_END` in network/weights.py)."""

_TIMEOUT = 10
"""Seconds to wait for an answer about IMAGENET."""


def check_inputs(params: Params, pulled: bool) -> list[str]:
    """Check that all raw data and weights can be read.

    Args:
        params: of the current folder, which is the project's.
        pulled: whether what DVC tracks must be here already. In a stage it need not: DVC gets it, or stops by itself.

    Returns:
        Remarks on parameters that are probably not meant.

    Raises:
        FacegenderError: paths do not exist, and no stage makes them; are pipes or devices; or are where stages write;
            or ImageNet's weights are needed, but are neither in Keras's cache nor can be downloaded. All of these are
            separate errors.
    """
    made = _outs_of_stages()
    wrong = dict(_wrong_places(params, made))
    missing = {
        key: path
        for key, path in _paths(params)
        if key not in wrong and not _exists(key, path) and not any(_is_within(path, out) for out in made)
    }
    if not pulled:
        missing = {key: path for key, path in missing.items() if not _tracking_file(path)}
    errors = [*_missing_errors(missing), *wrong.values()]
    if params.backbone.weights == "imagenet" and locked_param("pretrained", "backbone.weights") != "imagenet":
        errors += _imagenet_errors()
    if errors:
        raise FacegenderErrors(errors)
    weights, cut = params.backbone.weights, params.backbone.trainable_from
    remarks = []
    if weights not in ("imagenet", "file") and not params.dataset.drawn:
        remarks.append(
            f"backbone.weights is {weights}, which knows no photographs: for photographs, use imagenet or file"
        )
    if weights == "synthetic" and cut in _ABOVE_SYNTHETIC:
        remarks.append(
            f"backbone.trainable_from is {cut}, but synthetic weights end at mixed4: frozen blocks after it are random"
        )
    return remarks


def _paths(params: Params) -> Iterator[tuple[str, str]]:
    yield from ((f"dataset.{key}", path) for key, path in params.dataset.model_dump().items())
    yield "backbone.weights_file", params.backbone.weights_file
    for name, further in params.evaluate.datasets.items():
        yield from ((f"evaluate.datasets.{name}.{key}", path) for key, path in further.model_dump().items())


def _outs_of_stages() -> list[str]:
    try:
        stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
        bodies = [stage.get("do", stage) for stage in stages]
        outs = [out for body in bodies for kind in ("outs", "metrics", "plots") for out in body.get(kind, [])]
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise FacegenderError("dvc.yaml", "missing or not valid", "run: git restore dvc.yaml") from error
    # An out is a path, or a path with its settings.
    return [out if isinstance(out, str) else next(iter(out)) for out in outs]


def _exists(key: str, path: str) -> bool:
    """Return whether there is a file or folder; only images may be in a bucket.

    Raises:
        FacegenderError: there is none in the bucket, or it cannot be read.
    """
    if key.endswith(".images") and path.startswith(buckets.S3):
        buckets.is_folder(path)
        return True
    return os.path.exists(path)


def _tracking_file(path: str) -> str | None:
    """Return the .dvc file that tracks a path, or a folder that it is in."""
    files = (f"{place}.dvc" for place in (Path(path), *Path(path).parents) if place.name)
    return next(filter(os.path.isfile, files), None)


def _missing_errors(missing: Mapping[str, str]) -> Iterator[FacegenderError]:
    if missing and EXPERIMENT_COPIES in Path.cwd().as_posix():
        paths = shlex.join(missing.values())
        yield FacegenderError(
            "params.yaml",
            f"not in this copy of the repository: {paths}",
            f"dvc exp run --temp and --queue copy only what Git and DVC track: run dvc add {paths} and commit the .dvc "
            "files, use absolute paths in params.yaml, or leave --temp and --queue out",
        )
        return
    for key, path in missing.items():
        file, near = _tracking_file(path), _same_stem(Path(path))
        if file:
            remedy = f"{file} tracks it: run dvc checkout, or dvc pull {file}"
        elif near:
            remedy = f"did you mean {near.as_posix()}?"
        elif Path(path).parent == Path("data/celeba"):
            remedy = "put CelebA's files there, or run: facegender use celeba FOLDER"
        else:
            remedy = "put it there, or change params.yaml"
        yield FacegenderError("params.yaml", f"{key} is {path}, which does not exist", remedy)


def _wrong_places(params: Params, made: list[str]) -> Iterator[tuple[str, FacegenderError]]:
    """Yield keys and errors: paths that DVC would wait for, and raw data where stages write."""
    # Of data/features/${key}, the folder.
    outs = {out.partition("/${")[0] for out in made}
    for key, path in _paths(params):
        if os.path.exists(path):
            try:
                check_has_an_end(path)
            except FacegenderError as error:
                yield key, error.within(f"params.yaml: {key}")
                continue
        if path.startswith(buckets.S3) or is_drawn(path):
            continue
        if overlapping := [out for out in outs if _is_within(path, out) or _is_within(out, path)]:
            what = f"{key} is {path}, where the pipeline writes {min(overlapping)}"
            yield key, FacegenderError("params.yaml", what, "put the data in a folder of its own, such as data/ours")


def _is_within(path: str, folder: str) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))


def _same_stem(path: Path) -> Path | None:
    """Return a file or folder beside a path with another suffix: a txt list, or an unpacked zip file."""
    if not path.parent.is_dir():
        return None
    return min((other for other in path.parent.iterdir() if other.stem == path.stem), default=None)


def _imagenet_errors() -> Iterator[FacegenderError]:
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    file = IMAGENET.rpartition("/")[2]
    if (folder / file).is_file():
        return
    try:
        with urllib.request.urlopen(urllib.request.Request(IMAGENET, method="HEAD"), timeout=_TIMEOUT):
            return
    except (OSError, http.client.HTTPException) as error:
        yield FacegenderError(
            "params.yaml",
            f"backbone.weights is imagenet, but these weights are not in {folder} and cannot be downloaded ({error})",
            f"go online once, copy {file} there, or set backbone.weights to file and backbone.weights_file to an .h5",
        )
