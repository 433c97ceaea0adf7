"""Stage train: fit the tail on the features, and join it to the trunk."""

import keras
from dvclive import Live
from dvclive.utils import standardize_metric_name

from facegender.backbone import build_model, load_body, tail_of
from facegender.errors import one_line_errors
from facegender.features import feature_paths
from facegender.model_file import save_model
from facegender.params import load_params
from facegender.training import fit_tail


@one_line_errors()
def main() -> None:
    """Write models/gender.keras and the curves in metrics/train."""
    params = load_params()
    group = params.train
    keras.utils.set_random_seed(group.seed)
    model = build_model(params.preprocess.height, params.preprocess.width, group.dropout, group.hidden_units)
    load_body(model, "models/backbone.weights.h5")
    tail = tail_of(model, params.backbone.trainable_from)
    splits = [feature_paths(f"data/features/{split}") for split in ("train", "val")]
    with Live("metrics/train", dvcyaml=None, save_dvc_exp=False) as live:

        def log(numbers: dict[str, float]) -> None:
            for name, number in numbers.items():
                live.log_metric(standardize_metric_name(name, "dvclive.keras"), number)
            live.next_step()

        settings = group.model_dump(exclude={"dropout", "hidden_units"})
        history = fit_tail(tail, *splits, **settings, on_epoch=log)
        best = min(range(len(history)), key=lambda epoch: history[epoch]["val_loss"])
        live.summary["best"] = {"epoch": best + 1} | history[best]
    save_model(model, "models/gender.keras")


if __name__ == "__main__":
    main()
