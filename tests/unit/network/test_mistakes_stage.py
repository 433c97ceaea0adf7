"""The stage mistakes, with a small network."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from facegender.data.images import decode_image, encode_jpeg
from facegender.data.shards import Record, write_shards
from facegender.data.tables import read_table, write_csv
from facegender.network.onnx_file import save
from facegender.reporting.gallery import read_gallery
from stages import mistakes
from tests.functional.small_network import make_network
from tests.paths import ROOT

HEIGHT, WIDTH = 96, 80
SWAPPED = {7: 0.02, 12: 0.97}
"""P(Male) of the images whose labels are contradicted, by number; image 7 is Male and 12 is not."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with everything that the stage reads but params.yaml and the metrics, as working directory."""
    monkeypatch.chdir(tmp_path)
    labels = np.arange(200) % 2
    probabilities = np.where(labels == 1, 0.95, 0.05)
    for number, probability in SWAPPED.items():
        probabilities[number] = probability
    ids = [f"{number:03}.jpg" for number in range(200)]
    table = {"image_id": ids, "label": labels, "probability": probabilities}
    write_csv("data/predictions.csv", pd.DataFrame(table | {"predicted": (probabilities >= 0.5).astype(int)}))
    images = Path("data/preprocessed/test")
    images.mkdir(parents=True)
    jpegs = [encode_jpeg(np.full((HEIGHT, WIDTH, 3), number, np.uint8)) for number in range(200)]
    write_shards(images, map(Record, ids, labels.tolist(), jpegs))
    coefficients = np.linspace(-1, 1, 3 * (HEIGHT // 8) * (WIDTH // 8))
    Path("models").mkdir()
    save(make_network((HEIGHT, WIDTH), coefficients, 0.0), "models/gender.onnx")
    return tmp_path


def run(drawn: bool, standing: str) -> list[str]:
    """Run the stage on a model with this standing, and return the captions of disputed labels."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    Path("models/gender.json").write_text(
        json.dumps({"drawn": drawn, "standing": standing, "sentence": ""}), encoding="utf-8"
    )
    mistakes.main()
    captions = [exhibit.caption for exhibit in read_gallery("data/mistakes/disputed")]
    listed = read_table("data/mistakes/disputed_labels.csv")["image_id"].tolist()
    assert [caption.split("\n")[1] for caption in captions] == listed
    return captions


def test_labels_that_a_good_model_contradicts_are_listed_with_their_faces(folder: Path) -> None:
    assert run(False, standing="better") == [
        "label Male, predicted No male, 0.02\n007.jpg",
        "label No male, predicted Male, 0.97\n012.jpg",
    ]
    [seven, twelve] = read_gallery("data/mistakes/disputed")
    for exhibit, shade in ((seven, 7), (twelve, 12)):
        assert decode_image(exhibit.jpegs[0], "face").mean() == pytest.approx(shade, abs=1)


@pytest.mark.parametrize(
    ("drawn", "standing"),
    [(True, "better"), (False, "unclear")],
)
def test_no_label_of_a_drawn_face_or_under_a_weak_model_is_listed(folder: Path, drawn: bool, standing: str) -> None:
    assert run(drawn, standing) == []


def test_the_worst_mistakes_are_shown_beside_the_evidence(folder: Path) -> None:
    run(True, standing="better")

    worst = read_gallery("data/mistakes/worst")
    assert [exhibit.caption.split("\n")[1] for exhibit in worst] == ["007.jpg", "012.jpg"]
    # All of an image is evidence for Male to this network, so all is red where it predicts Male, and blue elsewhere.
    for exhibit, shade, is_red in zip(worst, (7, 12), (False, True), strict=True):
        face, evidence = (decode_image(jpeg, "face") for jpeg in exhibit.jpegs)
        assert face.shape == evidence.shape == (HEIGHT, WIDTH, 3)
        assert face.mean() == pytest.approx(shade, abs=1)
        red, _, blue = evidence.reshape(-1, 3).mean(axis=0)
        assert (red > 2 * blue) == is_red
        assert (blue > red) != is_red
