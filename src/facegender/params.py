"""params.yaml, typed and checked as a whole."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from facegender.errors import FacegenderError


def _even(count: int) -> int:
    if count % 2:
        raise ValueError(f"odd, but half of a split is Male and half No male; make it {count + 1}")
    return count


def _weights(weights: str) -> str:
    if weights not in ("imagenet", "random") and not weights.endswith(".h5"):
        raise ValueError("none of imagenet, random or the path of an .h5 file")
    return weights


def _threshold(rule: Any) -> Any:
    if rule in ("accuracy", "equal_error") or (isinstance(rule, float) and 0 < rule < 1):
        return rule
    raise ValueError("none of accuracy, equal_error or a number between 0 and 1")


def _dataset_name(name: str) -> str:
    if name == "test" or name.endswith(("_low", "_high")):
        raise ValueError("none of test and names that end in _low or _high, which stand for other files")
    return name


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=2), AfterValidator(_even)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
PathText = Annotated[str, Field(min_length=1)]
FigureName = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
NotNegative = Annotated[float, Field(ge=0)]


class _Group(BaseModel):
    # Strict: "12" and true are no integers; an integer where a float is due is fine.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SampleData(_Group):
    """The rendered faces that stand in for CelebA by default."""

    images: Annotated[int, Field(ge=20)]
    seed: Seed


class Dataset(_Group):
    """Where the raw data is."""

    images: PathText
    attributes: PathText
    partitions: PathText
    identities: PathText


class Eda(_Group):
    """The exploratory analysis of the training rows."""

    examples: Annotated[int, Field(ge=1, le=100)]


class Partition(_Group):
    """Images per split, half of them of each class."""

    train: Count
    val: Count
    test: Count
    seed: Seed


class Preprocess(_Group):
    """Pixels of the images that everything after sees."""

    height: Annotated[int, Field(ge=75, le=1024)]
    width: Annotated[int, Field(ge=75, le=1024)]
    on_bad_image: Literal["fail", "skip"]


class Augment(_Group):
    """Random transformations of training images: degrees, and shares of the image's size."""

    copies: Annotated[int, Field(ge=0, le=100)]
    rotation: Annotated[float, Field(ge=0, le=180)]
    zoom: Annotated[float, Field(ge=0, lt=1)]
    horizontal_flip: bool
    vertical_flip: bool
    width_shift: Share
    height_shift: Share
    shear: Annotated[float, Field(ge=0, lt=90)]
    seed: Seed


class Backbone(_Group):
    """InceptionV3's weights and the first block that is trained."""

    weights: Annotated[str, AfterValidator(_weights)]
    trainable_from: Literal["head", "mixed10", "mixed9", "mixed8", "mixed7", "mixed6", "mixed5", "mixed4", "mixed3"]


class Train(_Group):
    """Fitting of the tail."""

    epochs: Positive
    batch_size: Positive
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    schedule: Literal["constant", "cosine"]
    monitor: Literal["val_loss", "val_accuracy"]
    patience: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    hidden_units: Annotated[int, Field(ge=0)]
    seed: Seed


class Calibrate(_Group):
    """How the threshold is chosen on validation images."""

    threshold: Annotated[Literal["accuracy", "equal_error"] | float, BeforeValidator(_threshold)]


class TestSet(_Group):
    """A further data set to judge the model on, all of its images."""

    images: PathText
    attributes: PathText


class Evaluate(_Group):
    """How test images are judged."""

    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Seed
    datasets: dict[Annotated[str, Field(pattern=r"^[a-z0-9_-]+$"), AfterValidator(_dataset_name)], TestSet]


class Mistakes(_Group):
    """The picture of the worst mistakes."""

    images: Annotated[int, Field(ge=1, le=100)]


class Cache(_Group):
    """What is kept between runs outside DVC's outs, in gigabytes of 10^9 bytes."""

    gigabytes: Annotated[float, Field(gt=0)]


class Gate(_Group):
    """What `facegender gate` demands of a model; no stage reads it."""

    floors: dict[FigureName, float]
    ceilings: dict[FigureName, NotNegative]
    margins: dict[FigureName, NotNegative]
    tolerance: Annotated[float, Field(gt=0, lt=1)]


class Params(_Group):
    """All of params.yaml."""

    sample_data: SampleData
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


class _Yaml12Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, where `1e-4` is text; DVC reads YAML 1.2, where it is a number. No key comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that comes twice, of which PyYAML would take the last."""
        names = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if names.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value} comes twice", key.start_mark)
        return super().construct_mapping(node, deep)


_Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check all parameters.

    Args:
        path: a YAML file.

    Raises:
        FacegenderError: the file is missing or no YAML, or a key is unknown, missing, of the wrong type or out of
            range. Each mistake is a line of its own that names the file and the key.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Yaml12Loader)
    except OSError as error:
        raise FacegenderError(f"{path}: {error.strerror}; run in the folder that holds params.yaml") from error
    except UnicodeDecodeError as error:
        raise FacegenderError(f"{path}: not UTF-8 text at byte {error.start}; save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise FacegenderError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise FacegenderError(f"{path}: holds no keys; start from the params.yaml of the repository")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        mistakes = [f"{path}: {_explain(detail)}" for detail in error.errors()]
        raise FacegenderError("\nerror: ".join(mistakes)) from error


def _explain(detail: Any) -> str:
    location = [str(part) for part in detail["loc"]]
    key = ".".join(location)
    if detail["type"] == "missing":
        return f"{key} is missing; docs/params.md lists every key"
    if detail["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1)
        return f"{key} is unknown; " + (f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}")
    message = detail["msg"].removeprefix("Value error, ")
    return f"{key} is {detail['input']!r}: {message[0].lower()}{message[1:]}"


def _known_keys(groups: list[str]) -> list[str]:
    if not groups:
        return list(Params.model_fields)
    group = TestSet if len(groups) > 1 else Params.model_fields[groups[0]].annotation
    assert group is not None
    return list(group.model_fields)
