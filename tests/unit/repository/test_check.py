"""The check of the paths and weights in params.yaml."""

import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from facegender.errors import FacegenderError
from facegender.params import load_params
from facegender.repository import check
from facegender.repository.check import check_inputs
from tests.paths import ROOT

FURTHER = {"images": "further.zip", "attributes": "further.csv", "identities": "further.txt"}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a new project, without data, that ImageNet's weights cannot be downloaded to."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(check, "IMAGENET", "http://127.0.0.1:9/weights.h5")
    folder = tmp_path / "project"
    (folder / "params").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", "params/no_identities.txt", "params/no_weights.txt"):
        shutil.copy(ROOT / name, folder / name)
    monkeypatch.chdir(folder)
    return folder


def change(**values: Any) -> None:
    """Change keys of params.yaml, with __ for the dot."""
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    for key, value in values.items():
        group, leaf = key.split("__")
        content[group][leaf] = value
    Path("params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def put(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def problems(pulled: bool = True) -> list[str]:
    """Return the lines of the error; none if all is well."""
    try:
        check_inputs(load_params(), pulled)
    except FacegenderError as error:
        return str(error).splitlines()
    return []


def test_the_default_needs_no_data_beforehand() -> None:
    assert check_inputs(load_params(), pulled=True) == check_inputs(load_params(), pulled=False) == []


def test_every_path_in_params_is_checked() -> None:
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    paths = {f"{group}__{leaf}" for group in content for leaf, value in content[group].items() if "/" in str(value)}
    change(**{key: f"none/{key}" for key in paths}, evaluate__datasets={"more": FURTHER})

    lines = problems()

    keys = {key.replace("__", ".") for key in paths} | {f"evaluate.datasets.more.{key}" for key in FURTHER}
    assert len(keys) == 8
    assert {line.split()[1] for line in lines} == keys
    assert len(lines) == 8
    for line in lines:
        assert line.startswith("params.yaml: ")
        assert line.endswith(", which does not exist; put it there, or change params.yaml")


def test_only_what_a_stage_makes_may_be_missing() -> None:
    change(dataset__partitions="data/synthetic/other.csv")

    [line] = problems()
    assert line.startswith("params.yaml: dataset.partitions is data/synthetic/other.csv, which does not exist; ")


@pytest.mark.parametrize(
    ("path", "out"),
    [
        (".", "data/augment"),
        ("/", "data/augment"),
        ("data", "data/augment"),
        ("data/../models/", "models/backbone.keras"),
        ("data/preprocessed", "data/preprocessed"),
        ("data/preprocessed/train", "data/preprocessed"),
        ("models/gender.onnx", "models/gender.onnx"),
        ("models/backbone.keras", "models/backbone.keras"),
        ("metrics/slices.json", "metrics/slices.json"),
        ("metrics/plots", "metrics/plots/augment.png"),
    ],
)
def test_raw_data_may_not_be_where_the_pipeline_writes(path: str, out: str) -> None:
    put("data/preprocessed/train/1.jpg", "models/gender.onnx")
    change(dataset__images=path)

    [line] = problems()
    assert line == (
        f"params.yaml: dataset.images is {path}, where the pipeline writes {out}; put the data in a folder of its own, "
        "such as data/ours"
    )


def test_a_folder_beside_those_of_the_pipeline_is_allowed() -> None:
    put("data/ours/1.jpg", "data/evaluated.csv")
    change(dataset__images="data/ours", dataset__identities="data/evaluated.csv")

    assert problems() == []


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_has_no_end_is_refused_before_dvc_waits_for_it(kind: str) -> None:
    os.mkfifo("pipe")
    path = {"pipe": "pipe", "device": "/dev/zero"}[kind]
    change(dataset__images=path)

    assert problems() == [
        f"params.yaml: dataset.images: {path}: a pipe or a device, not a file; write it to a file first"
    ]


@pytest.mark.parametrize(
    ("there", "path", "remedy"),
    [
        ("raw/list_attr.txt", "raw/list_attr.csv", "did you mean raw/list_attr.txt?"),
        ("raw/img/1.jpg", "raw/img.zip", "did you mean raw/img?"),
        ("data/celeba/x", "data/celeba/a.csv", "put CelebA's files there, or run: facegender use celeba FOLDER"),
        ("raw/a.csv.dvc", "raw/a.csv", "raw/a.csv.dvc tracks it: run dvc checkout, or dvc pull raw/a.csv.dvc"),
        ("raw.dvc", "raw/x/a.csv", "raw.dvc tracks it: run dvc checkout, or dvc pull raw.dvc"),
    ],
)
def test_the_remedy_fits_what_is_there(there: str, path: str, remedy: str) -> None:
    put(there)
    change(dataset__attributes=path)

    assert problems() == [f"params.yaml: dataset.attributes is {path}, which does not exist; {remedy}"]
    # DVC gets what it tracks, or stops by itself.
    assert len(problems(pulled=False)) == ("dvc" not in remedy)


def test_a_copy_for_an_experiment_names_the_cause_in_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(dataset__attributes="raw/my list.csv", dataset__images="raw/img.zip")
    copy = project / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".dvc"))
    monkeypatch.chdir(copy)

    paths = "raw/img.zip 'raw/my list.csv'"
    assert problems() == [
        f"params.yaml: not in this copy of the repository: {paths}; dvc exp run --temp and --queue copy only what Git "
        f"and DVC track: run dvc add {paths} and commit the .dvc files, use absolute paths in params.yaml, or leave "
        "--temp and --queue out"
    ]


def test_imagenet_s_weights_that_cannot_be_downloaded_are_one_line(tmp_path: Path) -> None:
    change(backbone__weights="imagenet")

    [line] = problems()
    assert line.startswith(
        f"params.yaml: backbone.weights is imagenet, but these weights are not in {tmp_path / 'keras' / 'models'} and "
        "cannot be downloaded (<urlopen error "
    )
    assert line.endswith(
        "; go online once, copy weights.h5 there, or set backbone.weights to file and backbone.weights_file to an .h5"
    )


def test_imagenet_s_weights_in_keras_s_cache_need_no_network(tmp_path: Path) -> None:
    change(backbone__weights="imagenet")
    put(str(tmp_path / "keras" / "models" / "weights.h5"))

    assert problems() == []


def test_imagenet_s_weights_need_no_network_if_the_backbone_was_made_of_them() -> None:
    change(backbone__weights="imagenet")
    for weights, count in (("random", 1), ("imagenet", 0)):
        lock = {"stages": {"pretrained": {"params": {"params.yaml": {"backbone.weights": weights}}}}}
        Path("dvc.lock").write_text(yaml.safe_dump(lock), encoding="utf-8")
        assert len(problems()) == count


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers HEAD of one path."""

    def do_HEAD(self) -> None:
        """Answer."""
        self.send_response(200 if self.path == "/weights.h5" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


def test_imagenet_s_weights_that_can_be_downloaded_are_fine(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change(backbone__weights="imagenet")
    monkeypatch.setattr(check, "IMAGENET", f"{server}/weights.h5")
    assert problems() == []

    monkeypatch.setattr(check, "IMAGENET", f"{server}/gone.h5")
    assert "cannot be downloaded (HTTP Error 404: " in problems()[0]


def test_other_data_on_weights_that_know_no_photographs_is_pointed_out() -> None:
    own = {f"dataset__{key}": f"raw/{key}" for key in ("images", "attributes", "partitions")}
    put(*own.values(), "own.h5")
    change(**own, backbone__weights="random")
    [remark] = check_inputs(load_params(), pulled=True)
    assert remark == "backbone.weights is random, which knows no photographs: for photographs, use imagenet or file"

    change(backbone__weights="file", backbone__weights_file="own.h5")
    assert check_inputs(load_params(), pulled=True) == []


@pytest.mark.parametrize("text", ["", "stages: [", "stages: 3"])
def test_a_damaged_dvc_yaml_is_one_line(text: str) -> None:
    Path("dvc.yaml").write_text(text, encoding="utf-8")

    assert problems() == ["dvc.yaml: missing or not valid; run: git restore dvc.yaml"]
