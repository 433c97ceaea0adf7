"""What `facegender import` prints."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from facegender.importing.layout import import_data
from facegender.importing.params_file import fill_in
from facegender.importing.partitions import balanced_counts
from facegender.importing.summary import describe, describe_celeba, describe_params


def test_the_commands_for_dvc(classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    printed = describe(import_data(Path("faces"), Path("my data/ours")))

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


def test_the_parameters_are_explained_with_weights_time_and_space(project: Path) -> None:
    Path("own.h5").touch()
    some = {"train": 1000, "val": 100, "test": 100}
    lines = describe_params(fill_in("x", {}, some, None, lambda: False), some, None).splitlines()
    assert lines == [
        "params: the file above, to save as params.yaml, from params/portraits.yaml, whose comments explain each key",
        "images, half of each class (or all for every image): train 1,000, val 100, test 100",
        "weights that training starts from: ImageNet's, which Keras downloads once (88 MB)",
        "make repro takes about 7 to 10 minutes on two cores, and about 2 GB of disk",
    ]

    many = {"train": 136_000, "val": 4000, "test": 7000}
    filled = fill_in("x", {}, many, Path("own.h5"), lambda: True)
    lines = describe_params(filled, many, Path("params.yaml")).splitlines()
    assert lines == [
        "params: params.yaml, written from params/celeba.yaml, whose comments explain each key",
        "images, half of each class (or all for every image): train 14,000, val 4,000, test 6,000; at most: train "
        "136,000, test 7,000",
        "weights that training starts from: those in own.h5",
        "make repro takes about 66 to 90 minutes on two cores, and about 2 GB of disk",
    ]

    slower = fill_in("x", {}, many, Path("own.h5"), lambda: False)
    assert describe_params(slower, many, Path("params.yaml")).splitlines() == [
        *lines[:3],
        "train.precision: float32, because this processor has no bfloat16 instructions",
        "make repro takes about 105 to 200 minutes on two cores, and about 2 GB of disk",
    ]


def test_the_next_commands_for_celeba_can_be_run_twice(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@localhost")
    Path("face.png").touch()
    Path(".gitignore").touch()
    subprocess.run("git init -q && git add . && git commit -q -m start", shell=True, check=True)
    # What the command itself changes.
    Path(".gitignore").write_text("/face.png\n", encoding="utf-8")
    subprocess.run(["git", "rm", "--quiet", "--cached", "face.png"], check=True)

    annotations = pd.DataFrame({"Male": [0, 1] * 3, "partition": [0, 0, 1, 1, 2, 2]})
    available = balanced_counts(annotations)
    printed = describe_celeba(
        annotations, fill_in("x", {}, available, None, lambda: True), available, Path("params.yaml")
    )
    [commands] = [line.removeprefix("next: ") for line in printed.splitlines() if line.startswith("next: ")]
    done = []
    for _ in range(2):
        shell = f'make() {{ echo "made $1"; }}; {commands}'
        done.append(subprocess.run(shell, shell=True, capture_output=True, text=True))

    assert [one.returncode for one in done] == [0, 0]
    assert all(one.stdout.endswith("made repro\n") for one in done)
    log = subprocess.run(["git", "log", "--format=%s"], check=True, capture_output=True, text=True)
    assert log.stdout == "Use CelebA\nstart\n"
    files = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True)
    assert "face.png" not in files.stdout


def test_control_characters_in_names_are_escaped(classes: Path, tmp_path: Path) -> None:
    (classes / "male" / "a\x1b[31m.jpg").write_bytes(b"bad")
    (classes / "read me.\x1b[2Jtxt").touch()

    printed = describe(import_data(classes, tmp_path / "out", skip_bad=True))

    assert "  male/a\\x1b[31m.jpg: not a readable image" in printed
    assert "(.\\x1b[2jtxt)" in printed
    assert "\x1b" not in printed
