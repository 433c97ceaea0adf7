"""Keras model files: the same bytes for the same model, and a sidecar that describes the model.

Only functions that need Keras import it: it loads TensorFlow, which takes seconds.
"""

import io
import json
import re
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from facegender.errors import FacegenderError, shortened
from facegender.files import DAMAGED_ZIP, kind_of_file, read_member, whole_file
from facegender.network.sidecar import LOGITS, SIDECAR, Sidecar, TrunkSpec, has_threshold, restore

if TYPE_CHECKING:
    import keras

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
"""Members of a `.keras` zip."""

_DAMAGED = (*DAMAGED_ZIP, KeyError, ValueError, TypeError, IndexError, AttributeError)
"""What Python and Keras raise for a damaged file or one of another version; RecursionError is a RuntimeError."""

_KINDS = frozenset(
    ("Functional", "InputLayer", "Rescaling", "Conv2D", "BatchNormalization", "Activation", "MaxPooling2D")
    + ("AveragePooling2D", "Concatenate", "GlobalAveragePooling2D", "Dense", "Dropout", "Softmax")
    + ("Flip", "Reshape", "Mean", "DTypePolicy", "__keras_tensor__")
)
"""All that a model of this pipeline consists of, apart from initializers. None of it runs code from the file."""

_ZIP_YEARS = range(1980, 2108)
"""Of dates in zip files: PKWARE's APPNOTE.TXT, 4.4.6, has the format of MS-DOS, with 7 bits for the year from 1980."""

_MOST_BYTES = 2_000_000_000
"""The most that is unpacked; InceptionV3 has 88 MB."""

_MOST_SIDECAR_BYTES = 1_000_000


def save_model(model: "keras.Model", path: str | Path, sidecar: Mapping[str, Any]) -> None:
    """Write a `.keras` file without the parts that change from run to run: dates, and memory addresses as object ids.

    Args:
        model: the whole network.
        path: the file.
        sidecar: a `Sidecar`, stored beside the weights.

    Raises:
        FacegenderError: the clock is wrong by decades, as without a battery, so that Keras cannot write the file.
    """
    year = time.localtime().tm_year
    if year not in _ZIP_YEARS:
        what = f"it says that this is the year {year}, which a zip file cannot hold"
        raise FacegenderError("this machine's clock", what, "set it, and run: dvc repro")
    with tempfile.TemporaryDirectory() as folder:
        dated = Path(folder, "dated.keras")
        model.save(dated)
        members = _read_members(dated)
    metadata, config = (json.loads(members[name]) for name in ("metadata.json", _CONFIG))
    members |= {"metadata.json": _json(metadata | {"date_saved": ""}), _CONFIG: _json(_renumber(config, {}))}
    _write_members(path, members, sidecar)


def save_joined(backbone: str | Path, head: "keras.Model", path: str | Path, sidecar: TrunkSpec) -> None:
    """Write a `.keras` file of the whole network, without building InceptionV3, which takes Keras seconds.

    Args:
        backbone: as the stage pretrained writes it.
        head: as `facegender.network.backbone.build_head` returns it: its input has the name of the backbone's output.
        path: the file to write.
        sidecar: stored beside the weights; it has the size of the images.
    """
    with tempfile.TemporaryDirectory() as folder:
        save_model(head, Path(folder, "head.keras"), {})
        above = _read_members(Path(folder, "head.keras"))
    members = _read_members(backbone)
    config, config_above = (json.loads(content[_CONFIG]) for content in (members, above))
    layers, (_, *layers_above) = config["config"]["layers"], config_above["config"]["layers"]
    layers[0]["config"]["batch_shape"] = [None, sidecar["height"], sidecar["width"], 3]
    config["config"] |= {
        "name": "gender",
        "layers": layers + layers_above,
        "output_layers": config_above["config"]["output_layers"],
    }
    weights = io.BytesIO(members[_WEIGHTS])
    with h5py.File(weights, "r+") as file, h5py.File(io.BytesIO(above[_WEIGHTS])) as file_above:
        for name in sorted(set(file_above["layers"]) - set(file["layers"])):
            file_above.copy(f"layers/{name}", file["layers"])
    _write_members(path, members | {_CONFIG: _json(config), _WEIGHTS: weights.getvalue()}, sidecar)


def save_calibrated(source: str | Path, target: str | Path, temperature: float, sidecar: Mapping[str, Any]) -> None:
    """Copy a `.keras` file with its logits divided by a temperature, without Keras.

    Args:
        source: as `save_model` writes it.
        target: the file to write.
        temperature: by which the weights of the last layer are divided.
        sidecar: of the copy.
    """
    members = _read_members(source)
    weights = io.BytesIO(members[_WEIGHTS])
    with h5py.File(weights, "r+") as file:
        for values in _weights_by_layer(file)[LOGITS]:
            values[...] = np.asarray(values) / np.float32(temperature)
    _write_members(target, members | {_WEIGHTS: weights.getvalue()}, sidecar)


def load_model(path: str | Path) -> "tuple[keras.Model, Sidecar]":
    """Load the whole network and its sidecar.

    Raises:
        FacegenderError: as `read_sidecar`, or the file is damaged, or has layers that no model of this pipeline has,
            such as Keras's Lambda, which would run code from the file.
    """
    import keras

    sidecar = read_sidecar(path)
    try:
        _check_kinds(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True), sidecar
    except OSError as error:
        raise _unreadable(path, error) from error
    except _DAMAGED as error:
        raise FacegenderError(path, "damaged, or from another version of Keras", restore(path)) from error


def _check_kinds(path: str | Path) -> None:
    # All members are read, since Keras would unpack more than the headers of a member say.
    config = json.loads(_read_members(path)[_CONFIG])
    for module, kind in _kinds_in(config):
        is_known = kind in _KINDS and (module is None or module == "keras" or module.startswith("keras."))
        if not (is_known or module == "keras.initializers"):
            what = f"has a {shortened(str(kind))}, which no model of this pipeline has"
            raise FacegenderError(path, what, "use models/gender.onnx or models/gender.keras")


def _kinds_in(content: Any) -> Iterator[tuple[Any, Any]]:
    """Find the module and the class of everything that Keras would build from a configuration."""
    if isinstance(content, dict):
        if "class_name" in content:
            yield content.get("module"), content["class_name"]
        content = list(content.values())
    if isinstance(content, list):
        for item in content:
            yield from _kinds_in(item)


def _unreadable(path: str | Path, error: OSError) -> FacegenderError:
    # HDF5's errors are OSErrors without a number.
    what = error.strerror if error.errno else "not a .keras file, or a damaged one"
    return FacegenderError(path, what or str(error), restore(path))


def load_calibrated(path: str | Path) -> "tuple[keras.Model, Sidecar]":
    """Load the whole network and its sidecar, with temperature and threshold.

    Raises:
        FacegenderError: as `load_model`, or the model is not calibrated.
    """
    model, sidecar = load_model(path)
    if not has_threshold(sidecar):
        raise FacegenderError(path, "has no threshold, so the stage calibrate did not write it", restore(path))
    return model, sidecar


def read_sidecar(path: str | Path) -> Sidecar:
    """Read a model file's sidecar.

    Raises:
        FacegenderError: there is no such file, or it has no sidecar.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(SIDECAR)
            if member.file_size > _MOST_SIDECAR_BYTES:
                raise _not_ours(path)
            content = read_member(archive, member)
    except OSError as error:
        raise _unreadable(path, error) from error
    except KeyError as error:
        raise _not_ours(path) from error
    except DAMAGED_ZIP as error:
        kind = kind_of_file(path)
        what = f"{kind}, not a .keras file" if kind else "not a .keras file, or a damaged one"
        raise FacegenderError(path, what, restore(path)) from error
    try:
        sidecar: Sidecar = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _not_ours(path) from error
    if not isinstance(sidecar, dict):
        raise _not_ours(path)
    return sidecar


def _not_ours(path: str | Path) -> FacegenderError:
    return FacegenderError(path, f"contains no {SIDECAR}, so this pipeline did not write it", restore(path))


class Layer(NamedTuple):
    """A layer of a Keras file.

    Attributes:
        kind: Keras's class.
        name: unique in the file, and the same in every file of this network.
        config: its settings.
        inputs: names of the layers that it takes.
        weights: in Keras's order.
    """

    kind: str
    name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    weights: tuple[npt.NDArray[np.float32], ...]


def read_layers(path: str | Path) -> list[Layer]:
    """Read the layers of a Keras file, each after those that it takes, without Keras.

    Raises:
        FacegenderError: there is no such file, or it is damaged or something else.
    """
    try:
        members = _read_members(path)
        config = json.loads(members[_CONFIG])["config"]
        with h5py.File(io.BytesIO(members[_WEIGHTS])) as file:
            weights = {
                name: tuple(np.asarray(values, np.float32) for values in of_layer)
                for name, of_layer in _weights_by_layer(file).items()
            }
        names: dict[str, str] = {}
        counts: Counter[str] = Counter()
        layers = []
        for entry in config["layers"]:
            kind, name = entry["class_name"], entry["name"]
            names[name] = name
            # Keras numbers layers that were given no name through the whole session.
            if re.sub(r"_\d+$", "", name).replace("_", "") == kind.lower():
                counts[kind] += 1
                names[name] = f"{kind}_{counts[kind]}"
            inputs = tuple(names[taken] for taken in _taken(entry["inbound_nodes"]))
            layers.append(Layer(kind, names[name], entry["config"], inputs, weights.get(name, ())))
    except OSError as error:
        raise _unreadable(path, error) from error
    except _DAMAGED as error:
        raise FacegenderError(path, "not a .keras file, or a damaged one", restore(path)) from error
    return layers


def _weights_by_layer(file: h5py.File) -> dict[str, list[h5py.Dataset]]:
    """List the weights of each layer, in Keras's order, by the layer's name."""
    groups: list[h5py.Group] = []
    file.visititems(lambda _, item: groups.append(item) if "name" in item.attrs else None)
    return {group.attrs["name"]: [group[str(number)] for number in range(len(group))] for group in groups}


def _taken(content: Any) -> Iterator[str]:
    """Find the names of the layers that a layer in Keras's configuration takes."""
    if isinstance(content, dict):
        if content.get("class_name") == "__keras_tensor__":
            yield content["config"]["keras_history"][0]
            return
        content = list(content.values())
    if isinstance(content, list):
        for item in content:
            yield from _taken(item)


def _read_members(path: str | Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
            raise FacegenderError(path, "too large for a model of this pipeline", restore(path))
        return {member.filename: read_member(archive, member) for member in archive.infolist()}


def _write_members(path: str | Path, members: dict[str, bytes], sidecar: Mapping[str, Any]) -> None:
    """Write a `.keras` zip without dates, with a sidecar in place of any that is among the members."""
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted((members | {SIDECAR: _json(sidecar)}).items()):
            archive.writestr(zipfile.ZipInfo(name), content)


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _renumber(config: Any, numbers: dict[int, int]) -> Any:
    """Replace each `shared_object_id` by a number, in the order of first appearance."""
    if isinstance(config, dict):
        return {
            key: numbers.setdefault(value, len(numbers)) if key == "shared_object_id" else _renumber(value, numbers)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [_renumber(item, numbers) for item in config]
    return config
