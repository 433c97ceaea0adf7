"""Stage calibrate: fit the temperature and choose the threshold, both on validation images."""

import tempfile
from pathlib import Path

import numpy as np
import onnx

from facegender.errors import FacegenderError, one_line_errors
from facegender.evaluation.calibration import choose_threshold, fit_temperature, probabilities_at
from facegender.evaluation.metrics import classification_metrics
from facegender.files import write_json
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.features import check_same_trunk, load_inputs, read_trunk, tail_inputs
from facegender.network.model_file import read_layers, read_sidecar, save_calibrated
from facegender.network.onnx_file import convert, divide_logits, part, save
from facegender.network.prediction import predict_split
from facegender.network.sidecar import FEATURES, IMAGE, LOGITS, PROBABILITIES
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost

UNCALIBRATED, VAL = "models/uncalibrated.keras", "data/features/val"
CHECKED, TOLERANCE = 8, 1e-3
SHOWN = ("accuracy", "log_loss", "expected_calibration_error")


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write models/gender.onnx, models/gender.keras and metrics/calibrate.json."""
    group = load_params().calibrate
    sidecar, layers = read_sidecar(UNCALIBRATED), read_layers(UNCALIBRATED)
    trunk = check_same_trunk({UNCALIBRATED: sidecar, VAL: read_trunk(VAL)})
    # Without the temperature, which is fitted to its logits.
    network = convert(layers, trunk, mirror=group.mirror)
    shards = tail_inputs(trunk, [VAL], ["data/preprocessed/val"])
    _, labels, outputs = predict_split(OpenVinoEngine(part(network, FEATURES, LOGITS)), shards)
    logits = outputs[:, 1].astype(np.float64) - outputs[:, 0]
    before = classification_metrics(labels, probabilities_at(logits, 1.0), 0.5)
    temperature = fit_temperature(logits, labels)
    probabilities = probabilities_at(logits, temperature)
    threshold = choose_threshold(probabilities, labels, group.threshold)
    after = classification_metrics(labels, probabilities, threshold)

    fitted = {"temperature": temperature, "threshold": threshold}
    described = {**sidecar, **fitted}
    save(
        convert(divide_logits(layers, temperature), trunk, mirror=group.mirror, sidecar=described), "models/gender.onnx"
    )
    with tempfile.TemporaryDirectory() as folder:
        uncalibrated = mirrored(Path(folder, "mirrored.keras"), network, shards[0]) if group.mirror else UNCALIBRATED
        save_calibrated(uncalibrated, "models/gender.keras", temperature, described)
    shown = {key: {name: metrics[name] for name in SHOWN} for key, metrics in (("before", before), ("after", after))}
    write_json("metrics/calibrate.json", {**fitted, **shown})
    errors = " to ".join(f"{shown[when]['expected_calibration_error']:.4f}" for when in ("before", "after"))
    print(
        f"calibrate: temperature {temperature:.3f}, threshold {threshold:.3f}; calibration error {errors}, "
        f"on the {len(labels):,} validation images themselves"
    )


def mirrored(path: Path, converted: onnx.ModelProto, shard: Path) -> Path:
    """Write the Keras network with mirror images, checked against the converted one on images of a shard."""
    # TensorFlow takes seconds to load.
    from facegender.network.backbone import with_mirror
    from facegender.network.model_file import load_model, save_model

    model = with_mirror(load_model(UNCALIBRATED)[0])
    images = load_inputs(shard).inputs[:CHECKED]
    expected = np.asarray(model.predict_on_batch(images))
    difference = np.abs(OpenVinoEngine(part(converted, IMAGE, PROBABILITIES))(images) - expected).max()
    if not difference <= TOLERANCE:
        what = f"P(Male) of {len(images)} images differs by {difference:.6f} between Keras and the converted network"
        raise FacegenderError(UNCALIBRATED, what, "install the versions of the packages that requirements.lock names")
    save_model(model, path, {})
    return path


if __name__ == "__main__":
    main()
