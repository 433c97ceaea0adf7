"""What `facegender import` prints."""

from pathlib import Path

import pytest
import yaml

from facegender.importing.layout import import_data
from facegender.importing.summary import describe


def test_the_block_for_params_and_the_commands_for_dvc(
    classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    printed = describe(import_data(Path("faces"), Path("my data/ours")))

    block = yaml.safe_load(printed[printed.index("dataset:\n") : printed.index("\nand set at most")])
    assert block == {
        "dataset": {
            "images": "my data/ours/img_align_celeba.zip",
            "attributes": "my data/ours/list_attr_celeba.csv",
            "partitions": "my data/ours/list_eval_partition.csv",
            "identities": "params/no_identities.txt",
        }
    }
    assert "{train: 32, val: 4, test: 4}" in printed
    assert printed.endswith(
        "dvc add 'my data/ours/img_align_celeba.zip' 'my data/ours/list_attr_celeba.csv' "
        "'my data/ours/list_eval_partition.csv' 'my data/ours/sources.csv'\n"
        "and commit the .dvc files: git add 'my data/ours/img_align_celeba.zip.dvc' "
        "'my data/ours/list_attr_celeba.csv.dvc' 'my data/ours/list_eval_partition.csv.dvc' "
        "'my data/ours/sources.csv.dvc'"
    )
    assert "kind: a folder per class: female is No male, male is Male" in printed


def test_a_class_that_a_partition_lacks_is_explained(classes: Path, tmp_path: Path) -> None:
    printed = describe(import_data(classes, tmp_path / "out", shares=(0.9, 0.1, 0)))

    assert "test: 0 images, 0 No male, 0 Male; the pipeline needs both classes here" in printed
    assert "outside the current folder, so DVC cannot version it" in printed
