"""params.yaml, typed and checked as a whole."""

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML, YAMLError

from facegender.errors import FacegenderError, FacegenderErrors, shortened
from facegender.files import check_has_an_end


def _mistake(what: str, remedy: str, key: str = "") -> PydanticCustomError:
    """Return an error about the validated value, or about a dotted key in it."""
    return PydanticCustomError("mistake", "{what}", {"what": what, "remedy": remedy, "key": key})


def _images(images: Any) -> Any:
    whole = isinstance(images, int) and not isinstance(images, bool)
    if images == "all" or (whole and images >= 2 and images % 2 == 0):
        return images
    near = f"{images + 1}, half Male and half No male" if whole and images > 0 else "an even number"
    raise _mistake("must be an even number of at least 2, or all", f"use {near}, or all")


def _weights(weights: Any) -> Any:
    if weights in ("synthetic", "imagenet", "random", "file"):
        return weights
    if isinstance(weights, str) and weights.endswith(".h5"):
        raise _mistake("not synthetic, imagenet, random or file", "use file, and put the path in backbone.weights_file")
    raise _mistake("not synthetic, imagenet, random or file", "use one of them")


def _threshold(rule: Any) -> Any:
    if rule in ("accuracy", "equal_error") or (isinstance(rule, float) and 0 < rule < 1):
        return rule
    raise _mistake("must be accuracy, equal_error or a number between 0 and 1", "use one of them")


def _test_set_name(name: str) -> str:
    if name in RESERVED_NAMES:
        raise _mistake(f"reserved, as are {', '.join(RESERVED_NAMES)}", "use another name")
    return name


DRAWN_FACES = "data/synthetic"
"""The folder of the stage synthetic_data."""

_MOST_VALUES = 10_000
"""Of a params.yaml. A few lines of aliases of aliases ("billion laughs") stand for more than any memory holds."""

_PLAIN = {
    "model_type": "must be a group of keys",
    "dict_type": "must be a group of keys, or {} for none",
}
"""Pydantic's messages, by its type of the error, that are not about values of YAML."""

RESERVED_NAMES = ("train", "train_copies", "val", "test")
"""The other names in data/preprocessed and data/features, which a further test set must not have."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Images = Annotated[int | Literal["all"], BeforeValidator(_images)]
Share = Annotated[float, Field(ge=0, le=1)]
PartialShare = Annotated[float, Field(ge=0, lt=1)]
Cut = Literal[
    "head",
    "mixed10",
    "mixed9",
    "mixed8",
    "mixed7",
    "mixed6",
    "mixed5",
    "mixed4",
    "mixed3",
    "mixed2",
    "mixed1",
    "mixed0",
    "image",
]
Positive = Annotated[int, Field(ge=1)]
PathText = Annotated[str, Field(min_length=1)]
MetricName = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
NotNegative = Annotated[float, Field(ge=0)]


def is_drawn(path: str) -> bool:
    """Return whether the stage synthetic_data writes what is at a path."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(DRAWN_FACES))


class _Group(BaseModel):
    # Strict: "12" and true are not integers, but an integer is accepted as a float.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SyntheticData(_Group):
    """The synthetic faces that stand in for CelebA by default."""

    images: Annotated[int, Field(ge=20)]
    seed: Seed


class Dataset(_Group):
    """Where the raw data is."""

    images: PathText
    attributes: PathText
    partitions: PathText
    identities: PathText

    @property
    def drawn(self) -> bool:
        """Whether the images are the faces that the stage synthetic_data draws."""
        return is_drawn(self.images)


class Eda(_Group):
    """The exploratory analysis of the training rows."""

    examples: Annotated[int, Field(ge=1, le=100)]


class Partition(_Group):
    """Images per split: a number, half of them of each class, or all of the official partition."""

    train: Images
    val: Images
    test: Images
    seed: Seed


class Preprocess(_Group):
    """The size of the images in pixels, for all later stages."""

    height: Annotated[int, Field(ge=75, le=1024)]
    width: Annotated[int, Field(ge=75, le=1024)]
    on_bad_image: Literal["fail", "skip"]


class Augment(_Group):
    """Random transformations of training images: degrees, and shares of the image's size and of its colours."""

    mode: Literal["copies", "fresh"]
    copies: Annotated[int, Field(ge=0, le=100)]
    rotation: Annotated[float, Field(ge=0, le=180)]
    zoom: PartialShare
    horizontal_flip: bool
    vertical_flip: bool
    width_shift: Share
    height_shift: Share
    shear: Annotated[float, Field(ge=0, lt=90)]
    brightness: PartialShare
    contrast: PartialShare
    colour: PartialShare
    seed: Seed

    @field_validator("copies")
    @classmethod
    def _has_no_copies_if_fresh(cls, copies: int, info: ValidationInfo) -> int:
        if copies and info.data.get("mode") == "fresh":
            raise _mistake("augment.mode fresh transforms every image anew and stores no copies", "use 0")
        return copies


class Backbone(_Group):
    """InceptionV3's weights and the first block that is trained."""

    weights: Annotated[Literal["synthetic", "imagenet", "random", "file"], BeforeValidator(_weights)]
    weights_file: PathText
    trainable_from: Cut
    precision: Literal["float32", "bfloat16"]

    @model_validator(mode="after")
    def _has_a_file(self) -> "Backbone":
        if self.weights == "file" and not self.weights_file.endswith(".h5"):
            raise _mistake("weights is file, but weights_file is not the path of an .h5 file", "set weights_file")
        return self


class Train(_Group):
    """How the tail is trained."""

    epochs: Positive
    batch_size: Positive
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    schedule: Literal["constant", "cosine"]
    warmup_steps: Annotated[int, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0, lt=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    ema_momentum: Annotated[float, Field(ge=0, lt=1)]
    precision: Literal["float32", "bfloat16"]
    monitor: Literal["val_loss", "val_accuracy"]
    patience: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    hidden_units: Annotated[int, Field(ge=0)]
    seed: Seed


class Calibrate(_Group):
    """How the threshold is chosen on validation images, and whether the model also looks at the mirror image."""

    threshold: Annotated[Literal["accuracy", "equal_error"] | float, BeforeValidator(_threshold)]
    mirror: bool


class TestSet(_Group):
    """A further data set; the model is evaluated on all of its images."""

    images: PathText
    attributes: PathText
    identities: PathText


class Evaluate(_Group):
    """How predictions of test images are evaluated."""

    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Seed
    datasets: dict[Annotated[str, Field(pattern=r"^[a-z0-9_-]+$"), AfterValidator(_test_set_name)], TestSet]


class Mistakes(_Group):
    """The picture of the worst mistakes."""

    images: Annotated[int, Field(ge=1, le=100)]


class Cache(_Group):
    """The most that `.cache` keeps between runs, in units of 10^9 bytes, and how often training saves its state."""

    gigabytes: Annotated[float, Field(gt=0)]
    checkpoint_minutes: Annotated[float, Field(gt=0)]


class Gate(_Group):
    """What `facegender gate` requires of a model; no stage reads it."""

    floors: dict[MetricName, float]
    ceilings: dict[MetricName, NotNegative]
    margins: dict[MetricName, NotNegative]
    baseline: Literal["required", "waived"]
    tolerance: Annotated[float, Field(gt=0, lt=1)]


class Params(_Group):
    """All of params.yaml."""

    synthetic_data: SyntheticData
    dataset: Dataset
    eda: Eda
    partition: Partition
    preprocess: Preprocess
    augment: Augment
    backbone: Backbone
    train: Train
    calibrate: Calibrate
    evaluate: Evaluate
    mistakes: Mistakes
    cache: Cache
    gate: Gate

    @model_validator(mode="after")
    def _reads_images_if_fresh(self) -> "Params":
        cut = self.backbone.trainable_from
        if self.augment.mode == "fresh" and cut != "image":
            raise _mistake(
                f"backbone.trainable_from is {cut}, and stored features cannot be transformed anew",
                "use copies, or set backbone.trainable_from to image",
                "augment.mode",
            )
        return self

    @model_validator(mode="after")
    def _mirrors_images(self) -> "Params":
        cut = self.backbone.trainable_from
        if self.calibrate.mirror and cut != "image":
            raise _mistake(
                f"backbone.trainable_from is {cut}, and there are no features of mirror images",
                "use false, or set backbone.trainable_from to image",
                "calibrate.mirror",
            )
        return self


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check all parameters, with the YAML 1.2 parser that DVC uses, so that both see the same values.

    Args:
        path: a YAML file.

    Raises:
        FacegenderError: the file is missing or not YAML, or a key is unknown, missing, duplicated, of the wrong type or
            out of range. Each mistake is a separate error that names the file and the key.
    """
    try:
        check_has_an_end(path)
        content = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        remedy = "run this in the folder of params.yaml" if isinstance(error, FileNotFoundError) else "fix that"
        raise FacegenderError(path, error.strerror or str(error), remedy) from error
    except UnicodeDecodeError as error:
        raise FacegenderError(path, f"not UTF-8 text at byte {error.start}", "save it as UTF-8") from error
    except YAMLError as error:
        raise FacegenderError(path, f"not valid YAML: {_problem(error)}", "fix that line") from error
    except RecursionError as error:
        raise FacegenderError(path, "nested too deeply", "start from the params.yaml of the repository") from error
    except ValueError as error:  # A date or a number that Python cannot hold.
        raise FacegenderError(path, f"not valid YAML: {shortened(str(error))}", "fix that value") from error
    except LookupError as error:
        what = "not valid YAML: a tag such as !!bool before a value of another kind"
        raise FacegenderError(path, what, "delete the tag") from error
    if not _is_small(content):
        what = f"has more than {_MOST_VALUES:,} values, counted through its aliases"
        raise FacegenderError(path, what, "write them out, or start from the params.yaml of the repository")
    if not isinstance(content, dict):
        raise FacegenderError(path, "has no keys", "start from the params.yaml of the repository")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise FacegenderErrors([_explain(path, detail) for detail in error.errors()]) from error


def _is_small(content: Any) -> bool:
    """Return whether a parsed file has few values, where a value counts each time that an alias names it."""
    waiting = [content]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return True
        value = waiting.pop()
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not waiting


def _problem(error: YAMLError) -> str:
    """Return the parser's message with the line number, without its advice."""
    problem = getattr(error, "problem", None) or str(error).split("\n")[0]
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {problem}" if mark else problem


def _explain(path: str | Path, detail: Any) -> FacegenderError:
    location, value = [str(part) for part in detail["loc"]], detail["input"]
    context = detail.get("ctx", {})
    for part in filter(None, context.get("key", "").split(".")):
        location.append(part)
        value = value[part]
    key = ".".join(location)
    if detail["type"] == "missing":
        return FacegenderError(path, f"{key} is missing", "docs/params.md lists every key")
    if detail["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"
        return FacegenderError(path, f"{key} is unknown", remedy)
    if value is None and detail["type"] in ("dict_type", "model_type"):
        remedy = "write {} for none" if detail["type"] == "dict_type" else "docs/params.md lists every key"
        return FacegenderError(path, f"{key} has no value", remedy)
    if detail["type"] == "invalid_key" or (location[-1] == "[key]" and detail["type"] == "string_type"):
        return FacegenderError(
            path, f"the key {key.removesuffix('.[key]')} is not text", "delete it, or put it in quotes"
        )
    if location[-1] == "[key]" and detail["type"] == "string_pattern_mismatch":
        most = "a to z, 0 to 9, _ and -" if "-]" in context["pattern"] else "a to z, 0 to 9 and _"
        return FacegenderError(path, f"the key {'.'.join(location[:-1])} must consist of {most}", "rename it")
    message = _PLAIN.get(detail["type"], detail["msg"])
    shown = f"{key} is {shortened(repr(value))}" if not isinstance(value, dict) else key
    remedy = context.get("remedy", "see docs/params.md")
    return FacegenderError(path, f"{shown}: {message[0].lower()}{message[1:]}", remedy)


def _known_keys(groups: list[str]) -> list[str]:
    if not groups:
        return list(Params.model_fields)
    group = TestSet if len(groups) > 1 else Params.model_fields[groups[0]].annotation
    assert group is not None
    return list(group.model_fields)
