"""Replacements for the stages train, calibrate and evaluate, for tests in which InceptionV3 would take too long.

The network is logistic regression on mean pixels. It learns from `train.batch_size` images, half of each class, so a
small number makes a bad model.
"""

import sys
from pathlib import Path

import numpy as np

from facegender.data.images import Pixels, decode_image
from facegender.data.shards import read_records
from facegender.files import write_json
from facegender.params import load_params

BLOCK = 8
TRUNK = {"trainable_from": "image", "weights_md5": "none", "height": 0, "width": 0}


def train() -> None:
    """Write models/uncalibrated.keras and the other outs of train in dvc.yaml."""
    import keras
    from sklearn.linear_model import LogisticRegression

    from facegender.network.model_file import save_model

    count = load_params().train.batch_size
    records = list(read_records("data/preprocessed/train"))
    classes = [[record for record in records if record.label == label] for label in (0, 1)]
    chosen = [record for of_class in classes for record in of_class[: count // 2]]
    images = np.stack([decode_image(record.jpeg, record.image_id) for record in chosen])
    fitted = LogisticRegression(C=0.1, max_iter=1000).fit(blocks(images), [record.label for record in chosen])
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input(images.shape[1:], dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.AveragePooling2D(BLOCK),
            keras.layers.Flatten(),
            keras.layers.Dense(2, "softmax", name="probabilities"),
        ]
    )
    weights = np.stack([np.zeros(fitted.coef_.shape[1]), fitted.coef_[0]], axis=1)
    network.layers[-1].set_weights([weights, np.array([0, fitted.intercept_[0]])])
    save_model(network, "models/uncalibrated.keras", TRUNK)
    write_json("metrics/train/metrics.json", {"images": len(chosen)})
    write_json("metrics/train/plots/metrics/none.json", {})


def blocks(images: Pixels) -> np.ndarray:
    """Return the mean of each colour in each block, (images, blocks * 3), from 0 to 1."""
    count, height, width, _ = images.shape
    cut = images[:, : height // BLOCK * BLOCK, : width // BLOCK * BLOCK] / 255
    return np.asarray(
        cut.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).mean((2, 4)).reshape(count, -1)
    )


def calibrate() -> None:
    """Write models/gender.keras, which is models/uncalibrated.keras with the threshold 0.5."""
    from facegender.network.model_file import load_model, save_model

    model, sidecar = load_model("models/uncalibrated.keras")
    fitted = {"temperature": 1.0, "threshold": 0.5}
    save_model(model, "models/gender.keras", {**sidecar, **fitted})
    write_json("metrics/calibrate.json", fitted)


def evaluate() -> None:
    """Run the real stage, stages/real_evaluate.py, with the whole network on images instead of a tail on features."""
    from stages import real_evaluate  # type: ignore[attr-defined]

    real_evaluate.tail_of = lambda model, _: model
    real_evaluate.read_trunk = lambda _: TRUNK
    real_evaluate.check_agreement = lambda *_: None
    real_evaluate.main()


if __name__ == "__main__":
    {"train": train, "calibrate": calibrate, "evaluate": evaluate}[Path(sys.argv[0]).stem]()
