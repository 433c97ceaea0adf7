"""`facegender import` of a folder per class, and the pipeline on what it wrote."""

import shlex
from pathlib import Path

import pytest
import yaml

from facegender.data.images import encode_jpeg
from facegender.synthetic.dataset import draw_faces
from tests.functional.project import TINY, commit_all, make_project, metrics, run

pytestmark = pytest.mark.slow


def test_an_imported_folder_per_class_runs_through_the_pipeline(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project", TINY)
    commit_all(folder, "project")
    for number, face in enumerate(draw_faces(60, 7)):
        path = tmp_path / "faces" / ("men" if number % 2 else "women") / f"{number // 2}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(face))
    (tmp_path / "own.h5").touch()
    command = ["facegender", "import", "../faces", "data/my faces", "--shares", "0.6", "0.2", "0.2"]
    command += ["--weights", "../own.h5"]

    # The whole file comes first, then the words about it.
    before = (folder / "params.yaml").read_bytes()
    text, _, words = run(folder, *command).partition("\n\nkind: ")
    assert (folder / "params.yaml").read_bytes() == before
    assert "train 36, val 12, test 12\n" in words
    printed = run(folder, *command, "--force", "--params", "params.yaml")
    assert (folder / "params.yaml").read_text(encoding="utf-8") == text[text.index("# data/my faces/") :] + "\n"

    params = yaml.safe_load(text[text.index("# data/my faces/") :])
    assert params["partition"] == {"train": 36, "val": 12, "test": 12, "seed": 120}
    assert params["backbone"]["weights_file"] == str(tmp_path / "own.h5")
    # The file is not committed, so it is not replaced, and nothing is imported.
    (folder / "params.yaml").write_text(text.replace("epochs: 5", "epochs: 6"), encoding="utf-8")
    refused = run(folder, *command, "--force", "--params", "params.yaml", status=1)
    assert refused.startswith("error: params.yaml: has changes that are not committed and would be lost; ")
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")

    for advice in ("To version it: ", "and commit the .dvc files: "):
        run(folder, *shlex.split(printed.rsplit(advice, 1)[1].splitlines()[0]))
    run(folder, "dvc", "repro", "preprocess@train")
    assert metrics(folder, "preprocess/train") == {"images": 36, "converted": 0, "skipped": 0}
