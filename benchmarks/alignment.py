"""What alignment does for accuracy: aligned pictures, and the same rotated, scaled and shifted on a larger background.

Each folder holds `img_align_celeba/`, `list_attr_celeba.csv` and `list_eval_partition.csv`. The pictures are a sample
of its test rows, or with --all-rows of all rows, with the same number of both classes. A picture without a face counts
as wrong; if it shows several faces, the largest counts. Prints a Markdown table.

    python -m benchmarks.alignment --model models/gender.onnx --data FOLDER [--data FOLDER …]
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from benchmarks.measure import argument_parser, say, table
from facegender.data.images import Pixels, decode_image, fit_image
from facegender.data.streams import batched
from facegender.evaluation.calibration import is_male
from facegender.serving.alignment import Align, Face, aligned_faces
from facegender.serving.classifier import Classifier, load_classifier

CANVAS_HEIGHT, CANVAS_WIDTH = 480, 640
MAX_ROTATION = 30
"""Degrees, to either side."""
SCALES = (0.6, 1.2)
BATCH = 32

Change = Callable[[Pixels, np.random.Generator], Pixels]


class Result(NamedTuple):
    """How a model did on some pictures.

    Attributes:
        missed: number of pictures in which no face was found.
        accuracy: share of pictures that were classified correctly.
        seconds: median time to align a picture.
    """

    missed: int
    accuracy: float
    seconds: float


def sample_labels(folder: Path, per_class: int, all_rows: bool, seed: int) -> pd.Series:
    """Sample rows of a folder in CelebA's format, as many of each class: Male (1) or not (-1) by image id."""
    labels = pd.read_csv(folder / "list_attr_celeba.csv", index_col="image_id")["Male"]
    partitions = pd.read_csv(folder / "list_eval_partition.csv", index_col="image_id")["partition"]
    present = {path.name for path in (folder / "img_align_celeba").iterdir()}
    usable = labels[labels.index.isin(present) & (all_rows | (partitions.reindex(labels.index) == 2))]
    each = min(per_class, *usable.value_counts())
    return usable.groupby(usable).sample(each, random_state=seed).sort_index()


def unchanged(image: Pixels, random: np.random.Generator) -> Pixels:
    """Return the picture itself."""
    return image


def displaced(image: Pixels, random: np.random.Generator) -> Pixels:
    """Put a picture, rotated, scaled and shifted, on a larger background of smooth colours with noise.

    Args:
        image: uint8 RGB (any height, any width, 3).
        random: generator of the position and of the background.

    Returns:
        uint8 RGB (480, 640, 3).
    """
    height, width = image.shape[:2]
    size = (CANVAS_WIDTH, CANVAS_HEIGHT)
    colours = cv2.resize(random.integers(0, 256, (4, 5, 3), np.uint8), size)
    background = np.clip(colours + random.normal(0, 8, colours.shape), 0, 255).astype(np.uint8)
    scale = random.uniform(*SCALES)
    matrix = np.asarray(
        cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-MAX_ROTATION, MAX_ROTATION), scale),
        np.float64,
    )
    centre = random.uniform(0.25, 0.75, 2) * size
    matrix[:, 2] += centre - (width / 2, height / 2)
    return np.asarray(cv2.warpAffine(image, matrix, size, background, borderMode=cv2.BORDER_TRANSPARENT), np.uint8)


CHANGES: dict[str, Change] = {"as they are": unchanged, "rotated, scaled, shifted": displaced}
MODES: tuple[Align, ...] = ("never", "always")


def area(face: Face | None) -> float:
    """Return the area of a face's box in square pixels; 0 for a picture that was taken whole."""
    if face is None:
        return 0
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)


def measure(classifier: Classifier, folder: Path, labels: pd.Series, change: Change, mode: Align, seed: int) -> Result:
    """Align and classify pictures.

    Args:
        classifier: the model.
        folder: as --data.
        labels: from `sample_labels`.
        change: applied to each picture before its alignment.
        mode: of `aligned_faces`.
        seed: of `change`.
    """
    height, width = classifier.height, classifier.width
    random = np.random.default_rng(seed)
    found, seconds, probabilities = [], [], []
    for names in batched(labels.index, BATCH):
        crops = []
        for name in names:
            image = change(decode_image((folder / "img_align_celeba" / name).read_bytes(), name), random)
            start = time.perf_counter()
            faces = aligned_faces(image, mode, height, width)
            seconds.append(time.perf_counter() - start)
            found.append(bool(faces))
            _, crop = max(faces, key=lambda face: area(face[0]), default=(None, fit_image(image, height, width)))
            crops.append(crop)
        probabilities.append(classifier.predict(np.stack(crops)))
    male = is_male(np.concatenate(probabilities), classifier.threshold)
    right = (male == (labels == 1).to_numpy()) & np.array(found)
    return Result(found.count(False), float(right.mean()), float(np.median(seconds)))


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a calibrated .keras file, or an .onnx file")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder; may be repeated")
    parser.add_argument("--per-class", type=int, default=100, help="pictures of each class and folder")
    parser.add_argument("--all-rows", action="store_true", help="for data on which the model was not trained")
    parser.add_argument("--seed", type=int, default=120)
    options = parser.parse_args()
    classifier = load_classifier(options.model)
    rows = []
    for folder in options.data:
        labels = sample_labels(folder, options.per_class, options.all_rows, options.seed)
        for source, change in CHANGES.items():
            for mode in MODES:
                say(f"{folder.name}, {source}, --align {mode}")
                result = measure(classifier, folder, labels, change, mode, options.seed)
                rows.append(
                    (
                        f"{folder.resolve().name}, {source}",
                        mode,
                        len(labels),
                        result.missed,
                        f"{result.accuracy:.3f}",
                        f"{1000 * result.seconds:.0f} ms",
                    )
                )
    print(table(["Pictures", "`--align`", "Number", "No face found", "Accuracy", "Alignment, each"], rows))


if __name__ == "__main__":
    main()
