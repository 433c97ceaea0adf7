"""What alignment does for accuracy: aligned pictures, and the same turned, scaled and shifted on a larger background.

Each folder holds `img_align_celeba/`, `list_attr_celeba.csv` and `list_eval_partition.csv`; of its test rows, or with
--all-rows of all, as many of both classes are drawn. Where no face is found the answer counts as wrong; of several
faces the largest counts. Prints a Markdown table.

    python -m benchmarks.alignment --model models/gender.keras --data FOLDER [--data FOLDER …]
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks.measure import say, table
from facegender.data.images import Pixels, decode_image, fit_image
from facegender.data.streams import batched
from facegender.serving.alignment import Align, aligned_faces
from facegender.serving.classifier import load_classifier

CANVAS_HEIGHT, CANVAS_WIDTH = 480, 640
MAX_TURN = 30
"""Degrees to either side."""
SCALES = (0.6, 1.2)


def test_rows(folder: Path, per_class: int, all_rows: bool, seed: int) -> pd.Series:
    """Draw rows of a folder in CelebA's format: 1 or -1 by image id."""
    labels = pd.read_csv(folder / "list_attr_celeba.csv", index_col="image_id")["Male"]
    partitions = pd.read_csv(folder / "list_eval_partition.csv", index_col="image_id")["partition"]
    here = {path.name for path in (folder / "img_align_celeba").iterdir()}
    known = labels[labels.index.isin(here) & (all_rows | (partitions.reindex(labels.index) == 2))]
    each = min(per_class, *known.value_counts())
    return known.groupby(known).sample(each, random_state=seed).sort_index()


def thrown(image: Pixels, random: np.random.Generator) -> Pixels:
    """Lay a picture, turned, scaled and shifted, on a larger background of soft colours with noise.

    Args:
        image: uint8 RGB (any height, any width, 3).
        random: decides.

    Returns:
        uint8 RGB (480, 640, 3).
    """
    height, width = image.shape[:2]
    colours = cv2.resize(random.integers(0, 256, (4, 5, 3), np.uint8), (CANVAS_WIDTH, CANVAS_HEIGHT))
    background = np.clip(colours + random.normal(0, 8, colours.shape), 0, 255).astype(np.uint8)
    scale = random.uniform(*SCALES)
    matrix = np.asarray(
        cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-MAX_TURN, MAX_TURN), scale), np.float64
    )
    centre = random.uniform(0.25, 0.75, 2) * (CANVAS_WIDTH, CANVAS_HEIGHT)
    matrix[:, 2] += centre - (width / 2, height / 2)
    size = (CANVAS_WIDTH, CANVAS_HEIGHT)
    return np.asarray(cv2.warpAffine(image, matrix, size, background, borderMode=cv2.BORDER_TRANSPARENT), np.uint8)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a calibrated .keras file, or .onnx")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder; may be given again")
    parser.add_argument("--per-class", type=int, default=100, help="pictures of each class and folder")
    parser.add_argument("--all-rows", action="store_true", help="for data that the model was not trained on")
    parser.add_argument("--seed", type=int, default=120)
    arguments = parser.parse_args()
    classifier = load_classifier(arguments.model)
    height, width = classifier.height, classifier.width
    sources: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
        "as they are": lambda image, _: image,
        "turned, scaled, shifted": thrown,
    }
    ways: tuple[Align, ...] = ("never", "always")
    rows = []
    for folder in arguments.data:
        labels = test_rows(folder, arguments.per_class, arguments.all_rows, arguments.seed)
        for source, change in sources.items():
            for way in ways:
                say(f"{folder.name}, {source}, --align {way}")
                random = np.random.default_rng(arguments.seed)
                found: list[bool] = []
                seconds: list[float] = []

                # Bound as defaults, since the loops go on to the next.
                def judged(
                    folder: Path = folder,
                    names: "pd.Index[str]" = labels.index,
                    change: Callable[[Pixels, np.random.Generator], Pixels] = change,
                    way: Align = way,
                    random: np.random.Generator = random,
                    found: list[bool] = found,
                    seconds: list[float] = seconds,
                ) -> Iterator[Pixels]:
                    for name in names:
                        image = decode_image((folder / "img_align_celeba" / name).read_bytes(), name)
                        image = change(image, random)
                        start = time.perf_counter()
                        faces = aligned_faces(image, way, height, width)
                        seconds.append(time.perf_counter() - start)
                        found.append(bool(faces))
                        areas = [
                            (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]) if face else 0
                            for face, _ in faces
                        ]
                        yield faces[int(np.argmax(areas))][1] if faces else fit_image(image, height, width)

                probabilities = np.concatenate([classifier.predict(np.stack(batch)) for batch in batched(judged(), 32)])
                male = probabilities >= classifier.threshold
                right = (male == (labels == 1).to_numpy()) & np.array(found)
                rows.append(
                    (
                        f"{folder.resolve().name}, {source}",
                        way,
                        len(labels),
                        found.count(False),
                        f"{right.mean():.3f}",
                        f"{1000 * np.median(seconds):.0f} ms",
                    )
                )
    print(table(["Pictures", "`--align`", "Number", "No face found", "Accuracy", "Alignment, each"], rows))


if __name__ == "__main__":
    main()
