"""`facegender import` of a folder per class, and the pipeline on what it printed."""

import shlex
from pathlib import Path

import pytest
import yaml

from facegender.data.images import encode_jpeg
from facegender.synthetic.dataset import draw_faces
from tests.functional.project import TINY, make_project, metrics, run

pytestmark = pytest.mark.slow


def test_an_imported_folder_per_class_runs_through_the_pipeline(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project", TINY)
    for number, face in enumerate(draw_faces(60, 7)):
        path = tmp_path / "faces" / ("men" if number % 2 else "women") / f"{number // 2}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(face))

    printed = run(folder, "facegender", "import", "../faces", "data/my faces", "--shares", "0.6", "0.2", "0.2")

    assert "at most these counts, half of each class, under `partition`: {train: 36, val: 12, test: 12}" in printed
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params |= yaml.safe_load(printed[printed.index("dataset:\n") : printed.index("\nand set at most")])
    params["partition"] |= {"train": 36, "val": 12, "test": 12}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for words in ("To version it: ", "and commit the .dvc files: "):
        run(folder, *shlex.split(printed.rsplit(words, 1)[1].splitlines()[0]))
    run(folder, "dvc", "repro", "preprocess@train")
    assert metrics(folder, "preprocess/train") == {"images": 36, "converted": 36, "skipped": 0}
