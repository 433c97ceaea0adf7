"""Whole params files for imported images, valid and with the comments of the files in params/."""

import re
from pathlib import Path

import pytest
import yaml

from facegender.errors import FacegenderError
from facegender.importing.params_file import CELEBA, PORTRAITS, dataset_paths, fill_in, project_path
from facegender.params import load_params

pytestmark = pytest.mark.usefixtures("project")

COUNTS = {"train": 700, "val": 80, "test": 90}


def is_fast() -> bool:
    """Say that this machine multiplies bfloat16."""
    return True


def comments(text: str) -> list[str]:
    """List the comments of all lines but the first."""
    return re.findall("# .*", text)[1:]


@pytest.mark.parametrize(("train", "template"), [(700, PORTRAITS), (4998, PORTRAITS), (5000, CELEBA), (90_000, CELEBA)])
@pytest.mark.parametrize("folder", ["data/ours", "my: #1 data", "/elsewhere/Größe " + "long " * 30])
def test_the_file_is_that_of_the_repository_but_for_data_and_counts(train: int, template: Path, folder: str) -> None:
    paths = dataset_paths(Path(folder), identities=True)
    filled = fill_in("A title", paths, {**COUNTS, "train": train}, None, is_fast)

    assert filled.template == template
    assert filled.text.startswith("# A title\n\n")
    assert comments(filled.text) == comments(template.read_text(encoding="utf-8"))
    Path("params.yaml").write_text(filled.text, encoding="utf-8")
    written, original = load_params("params.yaml").model_dump(), load_params(template).model_dump()
    assert written.pop("dataset") == {
        "images": f"{folder}/img_align_celeba.zip",
        "attributes": f"{folder}/list_attr_celeba.csv",
        "partitions": f"{folder}/list_eval_partition.csv",
        "identities": f"{folder}/identity_CelebA.txt",
    }
    counts = {"train": min(train, 14_000), "val": 80, "test": 90}
    assert written.pop("partition") == {**counts, "seed": 120}
    assert filled.counts == counts
    del original["dataset"], original["partition"]
    assert written == original


def test_training_starts_from_imagenet_s_weights_or_from_those_that_are_named() -> None:
    backbone = yaml.safe_load(fill_in("", {}, COUNTS, None, is_fast).text)["backbone"]
    assert backbone["weights"] == "imagenet"

    Path("own").mkdir()
    Path("own/w.h5").touch()
    for train in (700, 90_000):
        filled = fill_in("", {}, {**COUNTS, "train": train}, Path("own/../own/w.h5"), is_fast)
        backbone = yaml.safe_load(filled.text)["backbone"]
        assert (backbone["weights"], backbone["weights_file"]) == ("file", "own/w.h5")


def test_bfloat16_is_only_for_machines_that_multiply_it() -> None:
    def precision(train: int, has_bfloat16: bool) -> str:
        filled = fill_in("", {}, {**COUNTS, "train": train}, None, lambda: has_bfloat16)
        assert yaml.safe_load(filled.text)["train"]["precision"] == filled.precision
        return filled.precision

    assert [precision(14_000, True), precision(14_000, False)] == ["bfloat16", "float32"]
    assert [precision(700, True), precision(700, False)] == ["float32", "float32"]


def test_a_class_that_is_missing_leaves_a_valid_file() -> None:
    Path("params.yaml").write_text(
        fill_in("", {}, {"train": 8, "val": 0, "test": 2}, None, is_fast).text, encoding="utf-8"
    )

    partition = load_params("params.yaml").partition
    assert (partition.train, partition.val, partition.test) == (8, 2, 2)


def test_unknown_identities_and_paths_elsewhere(tmp_path: Path) -> None:
    assert dataset_paths(Path("a"), identities=False)["identities"] == "params/no_identities.txt"
    assert project_path(Path("x/../y/z")) == "y/z"
    assert project_path(tmp_path / "z") == f"{tmp_path.as_posix()}/z"


@pytest.mark.parametrize("name", ["none.h5", "weights.keras", "folder.h5"])
def test_weights_that_are_no_such_file_are_one_line(name: str) -> None:
    Path("weights.keras").touch()
    Path("folder.h5").mkdir()

    with pytest.raises(FacegenderError) as raised:
        fill_in("", {}, COUNTS, Path(name), is_fast)
    assert str(raised.value) == f"{name}: no such .h5 file; name a file with weights of InceptionV3 without its top"


def test_another_folder_than_the_project_s_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(FacegenderError, match=r"^params/celeba.yaml: no such file; run this in the project's folder$"):
        fill_in("", {}, COUNTS, None, is_fast)
