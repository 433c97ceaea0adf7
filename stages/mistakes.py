"""Stage mistakes: show the worst mistakes with Grad-CAM, and list the labels that the model disagrees with."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from facegender.cache import alone
from facegender.data.images import Pixels, decode_image
from facegender.data.shards import read_records
from facegender.data.tables import write_csv
from facegender.data.text_files import read_json
from facegender.errors import one_line_errors
from facegender.evaluation.disputed_labels import disputed_labels, why_no_label_is_disputed
from facegender.evaluation.predictions import captions_of, most_confident_mistakes, read_predictions
from facegender.files import whole_folder
from facegender.network.description import verdict_of
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.explanation import class_heat, overlay
from facegender.network.onnx_file import load_calibrated, part
from facegender.network.sidecar import EVIDENCE, IMAGE, restore
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.reporting.gallery import exhibit, write_gallery
from facegender.reporting.pictures import image_grid

DESCRIPTION = Path("models/gender.json")
PICTURED_LABELS = 24


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write data/mistakes and metrics/plots/mistakes.png."""
    params = load_params()
    predictions = read_predictions("data/predictions.csv")
    mistakes = most_confident_mistakes(predictions, params.mistakes.images)
    description = read_json(DESCRIPTION, restore(DESCRIPTION), ("drawn", "standing", "sentence"))
    reason = why_no_label_is_disputed(description["drawn"], verdict_of(description))
    disputed = predictions[:0] if reason else disputed_labels(predictions)
    pictured = disputed.head(PICTURED_LABELS)

    faces = read_faces({*mistakes["image_id"], *pictured["image_id"]})
    captions = captions_of(mistakes)
    images = [faces[name] for name in captions]
    heated = with_evidence(images, mistakes)
    with whole_folder("data/mistakes") as folder:
        write_csv(folder / "disputed_labels.csv", disputed)
        write_gallery(folder / "worst", map(exhibit, captions.values(), images, heated))
        of_labels = captions_of(pictured)
        write_gallery(folder / "disputed", map(exhibit, of_labels.values(), (faces[name] for name in of_labels)))
    image_grid(
        "metrics/plots/mistakes.png",
        [picture for pair in zip(images, heated, strict=True) for picture in pair],
        [text for caption in captions.values() for text in (caption, "")],
        "The most confident mistakes on test images, with P(Male), and the evidence for the wrong class (red: most)",
    )
    wrong = int((predictions["predicted"] != predictions["label"]).sum())
    labels = "no labels listed" if reason else f"labels that the model disagrees with: {len(disputed):,}"
    print(f"mistakes: {wrong:,} of {len(predictions):,} test images; {labels}")


def read_faces(wanted: Collection[str]) -> dict[str, Pixels]:
    """Read test images by their ids."""
    records = read_records("data/preprocessed/test")
    return {name: decode_image(jpeg, name) for name, _, jpeg in records if name in wanted}


def with_evidence(images: list[Pixels], mistakes: pd.DataFrame) -> list[Pixels]:
    """Overlay each image with the evidence for the class that it was mistaken for."""
    if not images:
        return []
    network, _ = load_calibrated("models/gender.onnx")
    evidence = OpenVinoEngine(part(network, IMAGE, EVIDENCE))(images)
    heat = class_heat(evidence, mistakes["predicted"].to_numpy(), *images[0].shape[:2])
    return [overlay(image, one) for image, one in zip(images, heat, strict=True)]


if __name__ == "__main__":
    main()
