"""What the stage report reads: a damaged or missing file is one line that names it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from facegender.reporting.gallery import exhibit, write_gallery
from stages import report
from tests.paths import ROOT
from tests.predictions import GOOD

GALLERIES = ("data/mistakes/worst", "data/mistakes/disputed", "data/eda/examples", "data/augment")
TABLES = (
    "metrics/evaluate.csv",
    "metrics/plots/confusion.csv",
    *(f"metrics/plots/{name}.csv" for name in report.TABLES),
    *("data/slices.csv", "data/mistakes/disputed_labels.csv", "data/predictions.csv"),
    *("data/eda/balance.csv", "data/eda/rates.csv", "data/eda/correlation.csv"),
)
OBJECTS = (
    *("models/gender.json", "metrics/evaluate.json", "metrics/baseline.json", "metrics/calibrate.json"),
    *(f"{folder}/gallery.json" for folder in GALLERIES),
)
CARD = "docs/model-card.md"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with all that the stage reads; the page itself is not rendered."""
    for name in ("params.yaml", "dvc.lock", CARD, *TABLES, *OBJECTS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file() and not name.startswith(("data/", "models/")):
            shutil.copy(ROOT / name, tmp_path / name)
    for name in TABLES:
        if not (tmp_path / name).exists():
            (tmp_path / name).write_text("a,b\n1,2\n", encoding="utf-8")
    GOOD.to_csv(tmp_path / "data/predictions.csv", index=False)
    for folder in GALLERIES:
        write_gallery(tmp_path / folder, [exhibit("one", np.zeros((8, 6, 3), np.uint8))])
    described = dict.fromkeys(report.DESCRIBED, 1) | {"standing": "better", "weights": "random", "drawn": True}
    (tmp_path / "models/gender.json").write_text(json.dumps(described), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "render_report", lambda **_: "page")
    return tmp_path


def error_of_stage() -> str:
    with pytest.raises(SystemExit) as ended:
        report.main()
    line = str(ended.value.code)
    assert "\n" not in line
    assert not Path("metrics/report.html").exists()
    return line


def test_the_stage_writes_the_page(project: Path) -> None:
    report.main()

    assert Path("metrics/report.html").read_text(encoding="utf-8") == "page"


@pytest.mark.parametrize("name", [CARD, *TABLES, *OBJECTS])
@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_is_not_text_or_is_missing_is_named(name: str, content: bytes | None, project: Path) -> None:
    Path(name).unlink()
    if content is not None:
        Path(name).write_bytes(content)

    assert error_of_stage().startswith(f"error: {name}: ")


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("content", ["", "{", "[]", "3", "{}"])
def test_json_of_another_form_is_named(name: str, content: str, project: Path) -> None:
    Path(name).write_text(content, encoding="utf-8")

    assert error_of_stage().startswith(f"error: {name}: damaged: ")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("content", ["", 'a,b\n1,"2'])
def test_a_table_that_is_empty_or_cut_short_is_named(name: str, content: str, project: Path) -> None:
    Path(name).write_text(content, encoding="utf-8")

    assert error_of_stage().startswith(f"error: {name}: ")


@pytest.mark.parametrize("content", ['{"exhibits": 3}', '{"exhibits": [3]}', '{"exhibits": [{"caption": "one"}]}'])
def test_a_gallery_of_another_form_is_named(content: str, project: Path) -> None:
    Path("data/augment/gallery.json").write_text(content, encoding="utf-8")

    assert error_of_stage() == (
        "error: data/augment/gallery.json: damaged: not a list of pictures with captions; run: dvc checkout --force "
        "data/augment, or: dvc repro"
    )


def test_a_picture_that_is_missing_is_named(project: Path) -> None:
    Path("data/augment/000-0.jpg").unlink()

    assert error_of_stage().startswith("error: data/augment/000-0.jpg: No such file or directory; run: dvc checkout ")


def test_metrics_without_an_interval_are_named(project: Path) -> None:
    lines = Path("metrics/evaluate.csv").read_text(encoding="utf-8").splitlines()
    Path("metrics/evaluate.csv").write_text("\n".join(lines[:5]) + "\n", encoding="utf-8")

    assert error_of_stage() == (
        "error: metrics/evaluate.csv: damaged: not metrics with the ends of their intervals; run: git restore "
        "metrics/evaluate.csv, or: dvc repro"
    )
