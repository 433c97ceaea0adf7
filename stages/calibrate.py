"""Stage calibrate: make the probabilities mean what they say, and choose the threshold, both on validation images."""

import keras

from facegender.errors import one_line_errors
from facegender.evaluation.calibration import choose_threshold, fit_temperature, probabilities_at
from facegender.evaluation.metrics import classification_metrics
from facegender.files import write_json
from facegender.network.backbone import tail_of
from facegender.network.model_file import save_model
from facegender.network.prediction import divide_logits, logits_of_split
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write models/gender.keras and metrics/calibrate.json."""
    params = load_params()
    model = keras.saving.load_model("models/uncalibrated.keras", compile=False)
    labels, logits = logits_of_split(tail_of(model, params.backbone.trainable_from), "data/features/val")
    before = classification_metrics(labels, probabilities_at(logits, 1.0), 0.5)
    temperature = fit_temperature(logits, labels)
    probabilities = probabilities_at(logits, temperature)
    threshold = choose_threshold(probabilities, labels, params.calibrate.threshold)

    divide_logits(model, temperature)
    judgement = {"temperature": temperature, "threshold": threshold}
    save_model(model, "models/gender.keras", judgement)
    after = classification_metrics(labels, probabilities, threshold)
    names = ("accuracy", "log_loss", "expected_calibration_error")
    content = {"before": {name: before[name] for name in names}, "after": {name: after[name] for name in names}}
    write_json("metrics/calibrate.json", judgement | content)


if __name__ == "__main__":
    main()
