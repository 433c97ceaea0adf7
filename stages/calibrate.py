"""Stage calibrate: fit the temperature and choose the threshold, both on validation images."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from facegender.cache import alone
from facegender.errors import one_line_errors
from facegender.evaluation.calibration import choose_threshold, fit_temperature, probabilities_at
from facegender.evaluation.metrics import classification_metrics
from facegender.files import md5_of, write_json
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.features import check_same_trunk, load_inputs, read_trunk, tail_inputs
from facegender.network.model_file import read_layers, read_sidecar, save_calibrated
from facegender.network.onnx_file import check_conversion, convert, part, save
from facegender.network.prediction import predict_split
from facegender.network.sidecar import FEATURES, IMAGE, LOGITS, PROBABILITIES
from facegender.params import Params, load_params
from facegender.reporting.costs import recorded_cost

UNCALIBRATED, CALIBRATED = "models/uncalibrated.keras", "models/gender.keras"
VAL = "data/features/val"
CHECKED = 8
SHOWN = ("accuracy", "log_loss", "expected_calibration_error")


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write models/gender.onnx, models/gender.keras and metrics/calibrate.json."""
    params = load_params()
    group = params.calibrate
    sidecar = read_sidecar(UNCALIBRATED)
    trunk = check_same_trunk({UNCALIBRATED: sidecar, VAL: read_trunk(VAL)})
    shards = tail_inputs(trunk, [VAL], ["data/preprocessed/val"])
    uncalibrated = convert(read_layers(UNCALIBRATED), trunk, mirror=group.mirror)
    _, labels, outputs = predict_split(OpenVinoEngine(part(uncalibrated, FEATURES, LOGITS)), shards)
    logits = outputs[:, 1].astype(np.float64) - outputs[:, 0]
    before = classification_metrics(labels, probabilities_at(logits, 1.0), 0.5)
    temperature = fit_temperature(logits, labels)
    probabilities = probabilities_at(logits, temperature)
    threshold = choose_threshold(probabilities, labels, group.threshold)
    after = classification_metrics(labels, probabilities, threshold)

    fitted = {"temperature": temperature, "threshold": threshold}
    described = {**sidecar, **fitted, **trained_on(params)}
    save_calibrated(UNCALIBRATED, CALIBRATED, temperature, described)
    network = convert(read_layers(CALIBRATED), trunk, mirror=group.mirror, sidecar=described)
    save(network, "models/gender.onnx")
    if group.mirror:
        add_mirror(network, described, shards[0])
    shown = {key: {name: metrics[name] for name in SHOWN} for key, metrics in (("before", before), ("after", after))}
    write_json("metrics/calibrate.json", {**fitted, **shown})
    errors = " to ".join(f"{shown[when]['expected_calibration_error']:.4f}" for when in ("before", "after"))
    print(
        f"calibrate: temperature {temperature:.3f}, threshold {threshold:.3f}; calibration error from {errors} "
        f"on the same {len(labels):,} validation images"
    )


def trained_on(params: Params) -> dict[str, Any]:
    """Say what the model was trained on, in the words of `facegender.network.sidecar.Sidecar`."""
    counts = {
        f"{split}_images": json.loads(Path(f"metrics/preprocess/{split}.json").read_text(encoding="utf-8"))["images"]
        for split in ("train", "val")
    }
    attributes = params.dataset.attributes
    return {
        "data": Path(attributes).parent.name,
        "data_md5": md5_of(attributes),
        "drawn": params.dataset.drawn,
        "weights": params.backbone.weights,
        **counts,
    }


def add_mirror(converted: onnx.ModelProto, sidecar: Mapping[str, Any], shard: Path) -> None:
    """Let the Keras file average over mirror images too, and check the conversion on some images of a shard."""
    # TensorFlow takes seconds to load.
    from facegender.network.backbone import with_mirror
    from facegender.network.model_file import load_model, save_model

    model = with_mirror(load_model(CALIBRATED)[0])
    save_model(model, CALIBRATED, sidecar)
    images = load_inputs(shard).inputs[:CHECKED]
    outputs = OpenVinoEngine(part(converted, IMAGE, PROBABILITIES))(images)
    check_conversion(CALIBRATED, outputs, np.asarray(model.predict_on_batch(images)))


if __name__ == "__main__":
    main()
