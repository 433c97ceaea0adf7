"""Stage calibrate: fit the temperature and choose the threshold, both on validation images."""

from facegender.errors import one_line_errors
from facegender.evaluation.calibration import choose_threshold, fit_temperature, probabilities_at
from facegender.evaluation.metrics import classification_metrics
from facegender.files import write_json
from facegender.network.backbone import tail_of, with_mirror
from facegender.network.features import check_same_trunk, read_trunk, tail_inputs
from facegender.network.model_file import load_model, save_model
from facegender.network.prediction import divide_logits, logits_of_split
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost

MODEL, FEATURES = "models/uncalibrated.keras", "data/features/val"
SHOWN = ("accuracy", "log_loss", "expected_calibration_error")


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write models/gender.keras and metrics/calibrate.json."""
    group = load_params().calibrate
    model, sidecar = load_model(MODEL)
    trunk = check_same_trunk({MODEL: sidecar, FEATURES: read_trunk(FEATURES)})
    if group.mirror:
        model = with_mirror(model)
    shards = tail_inputs(trunk, [FEATURES], ["data/preprocessed/val"])
    labels, logits = logits_of_split(tail_of(model, trunk["trainable_from"]), shards)
    before = classification_metrics(labels, probabilities_at(logits, 1.0), 0.5)
    temperature = fit_temperature(logits, labels)
    probabilities = probabilities_at(logits, temperature)
    threshold = choose_threshold(probabilities, labels, group.threshold)
    after = classification_metrics(labels, probabilities, threshold)

    divide_logits(model, temperature)
    fitted = {"temperature": temperature, "threshold": threshold}
    save_model(model, "models/gender.keras", {**sidecar, **fitted})
    shown = {key: {name: metrics[name] for name in SHOWN} for key, metrics in (("before", before), ("after", after))}
    write_json("metrics/calibrate.json", {**fitted, **shown})


if __name__ == "__main__":
    main()
