"""Which files are read and what is printed for each; a stand-in for the classifier uses brightness as P(Male)."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegender import cli
from facegender.data.images import MAX_FILE_BYTES, Pixels, encode_jpeg
from facegender.errors import FacegenderError, visible
from facegender.evaluation.calibration import UNSURE_WITHIN
from facegender.serving.classifier import Classifier, load_classifier
from facegender.serving.labels import predicted_class
from facegender.serving.listing import passed_over_line, print_csv, print_json, print_table
from facegender.serving.photographs import (
    Found,
    Prediction,
    find_photographs,
    predict_photographs,
    read_faces,
    read_photographs,
    split_list,
)
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
    return list(predict_photographs(read_photographs(paths), CLASSIFIER, "never", UNSURE_WITHIN))


def test_a_folder_means_the_pictures_below_it(folder: Path) -> None:
    found = find_photographs([str(folder)])
    assert found.photographs == [str(folder / name) for name in ("a.JPG", "b.jpg", "below/deep/c.png")]


def test_every_kind_that_is_decoded_is_taken_from_a_folder_and_the_others_are_counted(tmp_path: Path) -> None:
    image = np.full((60, 50, 3), 102, np.uint8)
    kinds = ("jpg", "png", "bmp", "webp", "tiff", "gif", "avif", "jp2", "ppm")
    for kind in kinds:
        (tmp_path / f"face.{kind}").write_bytes(bytes(cv2.imencode(f".{kind}", image)[1]))
    (tmp_path / "face.jfif").write_bytes(picture(102))
    for name in ("1.heic", "2.HEIC", "3.txt", "README", ".hidden.heic"):
        (tmp_path / name).write_bytes(b"?")

    found = find_photographs([str(tmp_path), str(tmp_path)])

    assert {prediction.predicted for prediction in predict(found.photographs)} == {"unsure"}
    assert len(found.photographs) == 2 * (len(kinds) + 1)
    assert found.passed_over == {".heic": 4, ".txt": 2, "without suffix": 2}
    assert passed_over_line(found.passed_over) == (
        "files skipped: 8 (4 .heic, 2 .txt, 2 without suffix); convert photographs among them to JPEG"
    )


def test_arguments_keep_their_order_and_lists_mean_the_same_as_arguments(folder: Path) -> None:
    arguments = [str(folder / "b.jpg"), str(folder / "below"), str(folder / "*.JPG")]
    expected = Found([str(folder / name) for name in ("b.jpg", "below/deep/c.png", "a.JPG")], Counter())
    assert find_photographs(arguments) == expected
    assert find_photographs(["-"], arguments) == expected


def test_an_empty_list_is_reported() -> None:
    assert find_photographs(["-"]).photographs == [Prediction("standard input", error="no path there")]


BOM = "\ufeff"


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (b"", []),
        (b"\n \r\n\n", []),
        (b"a.jpg\n b c.jpg \r\n", ["a.jpg", "b c.jpg"]),
        ("\u00fc.jpg\n".encode(), ["\u00fc.jpg"]),
        # find -print0: any other character may be part of a name.
        (b"a.jpg\0 b\n.jpg\0", ["a.jpg", " b\n.jpg"]),
        (b"a.jpg\0b.jpg", ["a.jpg", "b.jpg"]),
        # Characters at which str.splitlines would split.
        ("a\x0b\x1c\u2028b.jpg\nc.jpg".encode(), ["a\x0b\x1c\u2028b.jpg", "c.jpg"]),
        # What editors and shells on Windows write.
        (f"{BOM}a.jpg\r\nb.jpg".encode(), ["a.jpg", "b.jpg"]),
        (f"{BOM}\u00fc.jpg\r\nb.jpg\r\n".encode("utf-16-le"), ["\u00fc.jpg", "b.jpg"]),
        (f"{BOM}a.jpg\nb.jpg\n".encode("utf-16-be"), ["a.jpg", "b.jpg"]),
    ],
)
def test_a_list_is_split_however_it_was_written(data: bytes, paths: list[str]) -> None:
    assert split_list(data) == paths


def test_names_in_a_list_need_not_be_text() -> None:
    assert [os.fsencode(name) for name in split_list(b"\xff.jpg\n")] == [b"\xff.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "face[1].jpg").write_bytes(picture(0))
    assert find_photographs([str(folder / "face[1].jpg")]).photographs == [str(folder / "face[1].jpg")]


@pytest.mark.parametrize("url", ["https://example.org/a.jpg", "HTTP://example.org/*.jpg?size=1", "file:///a.jpg"])
def test_a_url_is_named_as_such(url: str) -> None:
    [prediction] = predict(find_photographs([url]).photographs)
    assert (prediction.path, prediction.error) == (url, "a URL, and nothing is downloaded; download it first")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_and_a_device_are_refused_without_reading_them(tmp_path: Path, kind: str) -> None:
    # The pipe has no writer, so opening it would wait for ever; /dev/zero has no end.
    path = tmp_path / "face.jpg"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")

    [prediction] = predict(find_photographs([str(tmp_path)]).photographs)

    assert prediction.path == str(path)
    assert prediction.error == "a pipe or a device, not a file; write it to a file first"


def test_accents_may_be_written_in_another_form(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", str(tmp_path / "jos\u00e9.jpg"))
    Path(composed).write_bytes(picture(255))

    for form in ("NFC", "NFD"):
        assert find_photographs([unicodedata.normalize(form, composed)]).photographs == [composed]


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1_000_000)  # Without its zeros on the disk.

    [prediction] = predict([str(path)])
    assert prediction.error is not None
    assert prediction.error.startswith("561 MB are more than 560 MB, the most for an image")


def test_arguments_without_files_are_reported(folder: Path) -> None:
    (folder / "empty").mkdir()
    arguments = [str(folder / "*.gif"), str(folder / "empty"), str(folder / "nowhere.jpg")]
    predictions = predict(find_photographs(arguments).photographs)
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

    predictions = predict_photographs(read_photographs(endless()), CLASSIFIER, "never", UNSURE_WITHIN)
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


def test_what_a_terminal_would_obey_is_escaped_in_the_table() -> None:
    names = {
        "a\x1b[31mb.jpg": r"a\x1b[31mb.jpg",
        "two\nlines\r.jpg": r"two\nlines\r.jpg",
        "\u202egpj.exe": r"\u202egpj.exe",  # Right to left: it would look like exe.jpg.
        "\udcff.jpg": r"\xff.jpg",
        "\u2028.jpg": r"\u2028.jpg",
        "J\u00fcrgen \u00e9t\u00e9\u202f\u4e2d\U0001f600.jpg": "J\u00fcrgen \u00e9t\u00e9\u202f\u4e2d\U0001f600.jpg",
        r"C:\new\x.jpg": r"C:\new\x.jpg",
    }
    assert [visible(name) for name in names] == list(names.values())

    file = io.StringIO()
    rows = [Prediction(name, probability=0.1, predicted="No male") for name in names]
    print_table([*rows, Prediction("a\x1bb.jpg", error="bad\x1b")], file)
    assert [line.split(maxsplit=3)[-1] for line in file.getvalue().split("\n")[1:-2]] == list(names.values())
    assert file.getvalue().endswith("a\\x1bb.jpg: bad\\x1b\n")


def test_no_path_in_csv_is_a_formula_and_each_still_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [
        "=cmd|' 'A1.jpg",
        "+1.jpg",
        "-1.jpg",
        "@a.jpg",
        "\t=a.jpg",
        "\r=a.jpg",
        "\n=a.jpg",
        "\uff1da.jpg",
        "a=b.jpg",
    ]
    for name in names:
        Path(name).write_bytes(picture(0))
    file = io.StringIO()

    print_csv((Prediction(name, probability=0.0, predicted="No male") for name in names), file)

    paths = [row["path"] for row in csv.DictReader(io.StringIO(file.getvalue(), newline=""))]
    assert [path[0] for path in paths] == ["."] * 8 + ["a"]
    assert [Path(path).name for path in paths] == names
    assert all(Path(path).is_file() for path in paths)


def on_a_terminal(arguments: list[str], columns: int) -> str:
    """Run the command on a terminal and return what it shows."""
    ours, theirs = pty.openpty()
    program = "import sys; from facegender import cli; sys.argv[0] = 'facegender'; cli.main()"
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += (part := os.read(ours, 4096))
        except OSError:  # The other end is closed.
            break
        if not part:
            break
    os.close(ours)
    assert process.stderr is not None
    process.stderr.close()
    process.wait()
    return shown.decode()


def test_a_terminal_shows_colours_and_long_names_in_their_column(folder: Path) -> None:
    save_mean_network(folder / "model.onnx", HEIGHT, WIDTH, 0.35)
    long = folder / f"{'x' * 60}[bold].jpg"
    long.write_bytes(picture(255))
    arguments = ["predict", str(long), "nowhere.jpg", "--model", str(folder / "model.onnx"), "--align", "never"]

    shown = on_a_terminal(arguments, 60)

    assert "\x1b[31m" in shown  # Red, the error.
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert lines[0].split() == ["P(Male)", "predicted", "face", "photograph"]
    column = lines[0].index("photograph")
    assert all(len(line.rstrip()) <= 60 for line in lines)
    assert lines[1][:column].split() == ["1.000", "Male"]
    end = next(number for number, line in enumerate(lines) if line.split()[:1] == ["error"])
    assert "".join(line[column:].rstrip() for line in lines[1:end]) == str(long)
    assert all(line[:column].strip() == "" for line in lines[2:end])


@pytest.mark.parametrize("name", ["model.onnx", "model.keras", "model.tflite"])
def test_a_missing_model_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(FacegenderError, match="no such file"):
        load_classifier(tmp_path / name)


def test_a_folder_as_a_model_is_one_line_that_names_what_to_use(tmp_path: Path) -> None:
    (tmp_path / "saved" / "assets").mkdir(parents=True)
    (tmp_path / "saved" / "saved_model.pb").touch()
    with pytest.raises(FacegenderError, match=r"a SavedModel, which is for other programs; use the \.onnx"):
        load_classifier(tmp_path / "saved")
    with pytest.raises(FacegenderError, match=r"a folder without an \.onnx or \.keras file; name a model's file"):
        load_classifier(tmp_path / "saved" / "assets")
    for name in ("gender.keras", "gender.onnx"):
        (tmp_path / name).touch()
    with pytest.raises(FacegenderError, match=r"a folder, not a model; name a file in it, such as .*/gender\.onnx$"):
        load_classifier(tmp_path)


@pytest.mark.parametrize("url", ["https://example.org/gender.onnx", Path("https://example.org/gender.onnx")], ids=repr)
def test_a_url_as_a_model_is_one_line(url: str | Path) -> None:
    with pytest.raises(FacegenderError, match="a URL, and nothing is downloaded; download it first"):
        load_classifier(url)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x07" * 100])
def test_a_damaged_onnx_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(FacegenderError, match=r"model\.onnx: (the file is empty|damaged|cannot be used)"):
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
    assert good.stderr.split("\n") == [
        "files skipped: 2 (1 .onnx, 1 .txt); convert photographs among them to JPEG", "", "",
    ]  # fmt: skip

    bad = run_command(["predict", "-", *options], stdin=f"{folder / 'nowhere.jpg'}\n{folder / 'b.jpg'}\n")
    assert bad.returncode == 1
    rows = list(csv.DictReader(io.StringIO(bad.stdout)))
    assert [row["predicted"] for row in rows] == ["", "Male"]
    assert bad.stderr.splitlines()[-1].startswith("error: facegender predict: 1 of the files failed; ")


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]], ids=str)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_names_that_are_not_text_do_not_end_it(folder: Path, form: list[str], encoding: str) -> None:
    save_mean_network(folder / "model.onnx", HEIGHT, WIDTH, 0.35)
    names = [
        os.fsencode(folder / "\u4e2d\u00e9.jpg"),
        os.fsencode(folder) + b"/\xff.jpg",
        os.fsencode(folder / "b.jpg"),
    ]
    for name in names[:2]:
        Path(os.fsdecode(name)).write_bytes(picture(0))
    program = "from facegender import cli; import sys; sys.argv[0] = 'facegender'; cli.main()"
    arguments = ["predict", "-", "--model", str(folder / "model.onnx"), "--align", "never", *form]

    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        input=b"\n".join(names),
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )

    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert done.stdout.count(b"No male") == 2
    assert b"1.0" in done.stdout
    if form == ["--csv"]:
        assert all(name in done.stdout for name in names)


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"], "explain"], ids=str)
def test_notices_of_the_model_are_shown_on_stderr(
    folder: Path, form: list[str] | str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = CLASSIFIER._replace(
        notices=("Demo model: one.", "Two."),
        explain=lambda images: (CLASSIFIER.predict(images), np.zeros((len(images), 1, 1), np.float32)),
    )
    monkeypatch.setattr("facegender.serving.classifier.load_classifier", lambda path: classifier)
    common = [str(folder / "b.jpg"), "--align", "never"]
    arguments = (
        ["explain", *common, "-o", str(folder / "why.png")] if form == "explain" else ["predict", *common, *form]
    )
    monkeypatch.setattr(sys, "argv", ["facegender", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None)
    shown = capsys.readouterr()
    assert shown.err.startswith("Demo model: one.\nTwo.\n")
    assert "Demo model" not in shown.out


def test_a_folder_that_cannot_be_read_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(top: Path, onerror: Callable[[OSError], None], **_: object) -> Iterator[tuple[str, list[str], list[str]]]:
        onerror(PermissionError(13, "Permission denied", str(top)))
        yield from ()

    monkeypatch.setattr(os, "walk", walk)
    [prediction] = find_photographs([str(folder)]).photographs
    assert isinstance(prediction, Prediction)
    assert "Permission denied" in (prediction.error or "")


def test_two_forms_at_once_are_one_line() -> None:
    done = run_command(["predict", "a.jpg", "--csv", "--json"])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: --csv and --json: cannot be used together; use one of them"
