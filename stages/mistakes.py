"""Stage mistakes: show the worst mistakes with Grad-CAM, and list the labels that are probably wrong."""

from facegender.data.images import decode_image
from facegender.data.shards import read_records
from facegender.data.tables import write_csv
from facegender.errors import one_line_errors
from facegender.evaluation.label_errors import likely_label_errors
from facegender.evaluation.predictions import captions_of, most_confident_mistakes, read_predictions
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.explanation import class_heat, overlay
from facegender.network.onnx_file import load_calibrated, part
from facegender.network.sidecar import EVIDENCE, IMAGE
from facegender.params import load_params
from facegender.reporting import pictures
from facegender.reporting.costs import recorded_cost


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write metrics/plots/mistakes.png and data/label_errors.csv."""
    params = load_params()
    predictions = read_predictions("data/predictions.csv")
    label_errors = likely_label_errors(predictions)
    write_csv("data/label_errors.csv", label_errors)

    mistakes = most_confident_mistakes(predictions, params.mistakes.images)
    captions = captions_of(mistakes)
    records = read_records("data/preprocessed/test")
    faces = {name: decode_image(jpeg, name) for name, _, jpeg in records if name in captions}
    images = [faces[name] for name in captions]
    heated = []
    if images:
        network, _ = load_calibrated("models/gender.onnx")
        evidence = OpenVinoEngine(part(network, IMAGE, EVIDENCE))(images)
        heat = class_heat(evidence, mistakes["predicted"].to_numpy(), *images[0].shape[:2])
        heated = [overlay(image, one) for image, one in zip(images, heat, strict=True)]
    pictures.image_grid(
        "metrics/plots/mistakes.png",
        [picture for pair in zip(images, heated, strict=True) for picture in pair],
        [text for caption in captions.values() for text in (caption, "evidence for the wrong class\n(red: most)")],
        "The most confident mistakes on test images",
    )
    wrong = int((predictions["predicted"] != predictions["label"]).sum())
    print(f"mistakes: {wrong:,} of {len(predictions):,} test images; labels to look at: {len(label_errors):,}")


if __name__ == "__main__":
    main()
