"""Which files are read and what is printed for each; a stand-in for the classifier uses brightness as P(Male)."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from facegender.data.images import Pixels, encode_jpeg
from facegender.errors import FacegenderError
from facegender.evaluation.calibration import UNSURE_WITHIN
from facegender.serving.classifier import Classifier, load_classifier
from facegender.serving.labels import predicted_class
from facegender.serving.listing import print_csv, print_json, print_table
from facegender.serving.photographs import Prediction, find_photographs, predict_photographs, read_faces
from tests.onnx_model import save_mean_network

HEIGHT, WIDTH = 24, 20
CLASSIFIER = Classifier(lambda images: images.mean(axis=(1, 2, 3)).astype(np.float32) / 255, HEIGHT, WIDTH, 0.4)


def picture(brightness: int, height: int = HEIGHT, width: int = WIDTH) -> bytes:
    return encode_jpeg(np.full((height, width, 3), brightness, np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below" / "deep").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "b.jpg").write_bytes(picture(255))
    (tmp_path / "a.JPG").write_bytes(picture(0))
    (tmp_path / "below" / "deep" / "c.png").write_bytes(picture(102))
    (tmp_path / ".hidden" / "d.jpg").write_bytes(picture(0))
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def predict(paths: list[str | Prediction]) -> list[Prediction]:
    return list(predict_photographs(paths, CLASSIFIER, "never", UNSURE_WITHIN))


def test_a_folder_means_the_pictures_below_it(folder: Path) -> None:
    found = list(find_photographs([str(folder)], ()))
    assert found == [str(folder / name) for name in ("a.JPG", "b.jpg", "below/deep/c.png")]


def test_arguments_keep_their_order_and_lists_mean_the_same_as_arguments(folder: Path) -> None:
    arguments = [str(folder / "b.jpg"), str(folder / "below"), str(folder / "*.JPG")]
    expected = [str(folder / name) for name in ("b.jpg", "below/deep/c.png", "a.JPG")]
    assert list(find_photographs(arguments, ())) == expected
    assert list(find_photographs(["-"], (f"{line}\n" for line in ["", *arguments, " "]))) == expected


def test_an_empty_list_is_reported() -> None:
    assert list(find_photographs(["-"], ["\n", " \n"])) == [Prediction("-", error="no path on standard input")]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "face[1].jpg").write_bytes(picture(0))
    assert list(find_photographs([str(folder / "face[1].jpg")], ())) == [str(folder / "face[1].jpg")]


def test_arguments_without_files_are_reported(folder: Path) -> None:
    (folder / "empty").mkdir()
    arguments = [str(folder / "*.gif"), str(folder / "empty"), str(folder / "nowhere.jpg")]
    predictions = predict(list(find_photographs(arguments, ())))
    assert [prediction.path for prediction in predictions] == arguments
    reasons = [prediction.error or "" for prediction in predictions]
    assert reasons[0] == "no file matches"
    assert reasons[1].startswith("no image in this folder")
    assert "No such file" in reasons[2]


def test_good_files_are_predicted_beside_bad_ones_in_order(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(picture(0)[:-20])
    (folder / "text.jpg").write_text("not a picture")
    names = ["b.jpg", "bad.jpg", "a.JPG", "text.jpg", "below/deep/c.png"]
    predictions = predict([str(folder / name) for name in names])
    assert [prediction.path for prediction in predictions] == [str(folder / name) for name in names]
    assert [prediction.predicted for prediction in predictions] == ["Male", None, "No male", None, "unsure"]
    assert [prediction.probability for prediction in predictions] == [1.0, None, 0.0, None, pytest.approx(0.4)]
    assert all("\n" not in (prediction.error or "") for prediction in predictions)
    assert not (predictions[1].error or "").startswith(str(folder))


def test_more_pictures_than_a_batch_each_keep_their_own_probability(tmp_path: Path) -> None:
    paths: list[str | Prediction] = []
    for number in range(75):
        (tmp_path / f"{number}.jpg").write_bytes(picture(3 * number, height=30 + number))
        paths.append(str(tmp_path / f"{number}.jpg"))
    predictions = predict(paths)
    assert [prediction.path for prediction in predictions] == paths
    assert [prediction.probability for prediction in predictions] == pytest.approx(
        [n * 3 / 255 for n in range(75)], abs=0.01
    )


def test_only_a_batch_and_the_next_are_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(0))
    asked = 0

    def endless() -> Iterator[str]:
        nonlocal asked
        while True:
            asked += 1
            yield str(tmp_path / "a.jpg")

    predictions = predict_photographs(endless(), CLASSIFIER, "never", UNSURE_WITHIN)
    for _ in range(32):
        next(predictions)
    assert asked <= 2 * 32


@pytest.mark.parametrize(
    ("probability", "unsure", "predicted"),
    [
        (0.25, 0.125, "No male"),
        (0.375, 0.125, "No male"),  # As far from the threshold as unsure allows.
        (0.4375, 0.125, "unsure"),
        (0.5, 0.125, "unsure"),
        (0.5625, 0.125, "unsure"),
        (0.625, 0.125, "Male"),
        (0.5, 0, "Male"),  # Male starts at the threshold itself.
        (0.4999, 0, "No male"),
        (1.0, 1, "unsure"),
    ],
)
def test_the_class_follows_from_threshold_and_band(probability: float, unsure: float, predicted: str) -> None:
    assert predicted_class(probability, 0.5, unsure) == predicted


def test_a_directory_and_a_missing_file_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.jpg"):
        with pytest.raises(FacegenderError, match="check the path"):
            read_faces(str(path), HEIGHT, WIDTH, "never")


ROWS = [
    Prediction("a.jpg", None, None, 0.25, "No male"),
    Prediction("two, of them.jpg", 2, (1, 2, 30, 40), 0.9999996, "Male"),
    Prediction("bad.jpg", error="not a picture"),
]


def test_csv_is_read_back() -> None:
    file = io.StringIO()
    assert print_csv(ROWS, file) == 1
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["path"] for row in rows] == ["a.jpg", "two, of them.jpg", "bad.jpg"]
    assert rows[1] | {} == {
        "path": "two, of them.jpg",
        **{"face": "2", "left": "1", "top": "2", "right": "30", "bottom": "40"},
        **{"probability": "0.9999996", "predicted": "Male", "error": ""},
    }
    assert (rows[2]["probability"], rows[2]["predicted"], rows[2]["error"]) == ("", "", "not a picture")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_read_back(count: int) -> None:
    file = io.StringIO()
    bad = print_json(ROWS[:count], file)
    rows = json.loads(file.getvalue())
    assert len(rows) == count
    assert bad == (count == 3)
    if count == 3:
        assert rows[1]["box"] == [1, 2, 30, 40]
        assert rows[2] == dict.fromkeys(Prediction._fields) | {"path": "bad.jpg", "error": "not a picture"}


def test_the_table_has_a_line_for_each() -> None:
    file = io.StringIO()
    assert print_table(ROWS, file) == 1
    lines = file.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[1].split() == ["0.250", "No", "male", "a.jpg"]
    assert lines[2].split() == ["1.000", "Male", "2", "two,", "of", "them.jpg"]
    assert lines[3].endswith("bad.jpg: not a picture")


@pytest.mark.parametrize("name", ["model.onnx", "model.keras", "model.tflite"])
def test_a_missing_model_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(FacegenderError, match="no such file"):
        load_classifier(tmp_path / name)


def test_a_saved_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "gender_saved_model").mkdir()
    with pytest.raises(FacegenderError, match="a folder, such as a SavedModel, which is for other programs"):
        load_classifier(tmp_path / "gender_saved_model")


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x07" * 100])
def test_a_damaged_onnx_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(FacegenderError, match=r"model\.onnx: (damaged|has no threshold)"):
        load_classifier(tmp_path / "model.onnx")


def test_an_onnx_file_is_used_without_tensorflow_and_with_its_threshold(tmp_path: Path) -> None:
    save_mean_network(tmp_path / "model.onnx", HEIGHT, WIDTH, 0.35)
    classifier = load_classifier(tmp_path / "model.onnx")
    images: Pixels = np.stack([np.full((HEIGHT, WIDTH, 3), value, np.uint8) for value in (0, 51, 255)])
    assert classifier.predict(images) == pytest.approx([0, 0.2, 1], abs=1e-6)
    assert (classifier.height, classifier.width, classifier.threshold) == (HEIGHT, WIDTH, 0.35)


def test_an_onnx_file_from_elsewhere_is_one_line(tmp_path: Path) -> None:
    save_mean_network(tmp_path / "model.onnx", HEIGHT, WIDTH, None)
    with pytest.raises(FacegenderError, match="has no threshold"):
        load_classifier(tmp_path / "model.onnx")


def run_command(arguments: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; from facegender import cli\n"
        f"sys.argv = {['facegender', *arguments]!r}\n"
        "try: cli.main()\n"
        "finally: print(*sorted({'tensorflow', 'keras', 'pandas', 'dvc'} & set(sys.modules)), file=sys.stderr)\n"
    )
    return subprocess.run([sys.executable, "-c", program], input=stdin, capture_output=True, text=True)


def test_the_command_predicts_all_and_ends_with_1_if_a_file_failed(folder: Path) -> None:
    save_mean_network(folder / "model.onnx", HEIGHT, WIDTH, 0.35)
    options = ["--model", str(folder / "model.onnx"), "--align", "never", "--csv"]
    good = run_command(["predict", str(folder), *options])
    assert good.returncode == 0
    rows = list(csv.DictReader(io.StringIO(good.stdout)))
    assert [row["predicted"] for row in rows] == ["No male", "Male", "unsure"]
    # No library that takes long to load.
    assert good.stderr.strip() == ""

    bad = run_command(["predict", "-", *options], stdin=f"{folder / 'nowhere.jpg'}\n{folder / 'b.jpg'}\n")
    assert bad.returncode == 1
    rows = list(csv.DictReader(io.StringIO(bad.stdout)))
    assert [row["predicted"] for row in rows] == ["", "Male"]
    assert bad.stderr.splitlines()[-1].startswith("error: facegender predict: 1 of the files failed; ")


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]], ids=str)
def test_names_that_are_not_text_and_impossible_paths_do_not_end_it(folder: Path, form: list[str]) -> None:
    save_mean_network(folder / "model.onnx", HEIGHT, WIDTH, 0.35)
    name = os.fsdecode(os.fsencode(folder) + b"/\xff.jpg")
    Path(name).write_bytes(picture(0))
    listed = f"a\0b.jpg\n{name}\n{folder / 'b.jpg'}\n"
    program = "from facegender import cli; import sys; sys.argv[0] = 'facegender'; cli.main()"
    arguments = ["predict", "-", "--model", str(folder / "model.onnx"), "--align", "never", *form]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        input=os.fsencode(listed),
        capture_output=True,
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"embedded null byte" in done.stdout
    assert done.stdout.count(b"Male") >= 1
    assert b"No male" in done.stdout


def test_a_folder_that_cannot_be_read_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(top: Path, onerror: Callable[[OSError], None], **_: object) -> Iterator[tuple[str, list[str], list[str]]]:
        onerror(PermissionError(13, "Permission denied", str(top)))
        yield from ()

    monkeypatch.setattr(os, "walk", walk)
    [prediction] = find_photographs([str(folder)], ())
    assert isinstance(prediction, Prediction)
    assert "Permission denied" in (prediction.error or "")


def test_two_forms_at_once_are_one_line() -> None:
    done = run_command(["predict", "a.jpg", "--csv", "--json"])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: --csv and --json: cannot be used together; use one of them"
