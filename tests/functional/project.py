"""A copy of this repository, with its own Git and DVC repositories, to run the pipeline in."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.paths import ROOT

GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")
COPIED = ("dvc.yaml", "params.yaml", "params", "stages", "src", "docs", "metrics/datasets", ".dvcignore", ".gitignore")

TINY = {
    "synthetic_data.images": 120,
    "eda.examples": 4,
    "partition.train": 40,
    "partition.val": 12,
    "partition.test": 12,
    "preprocess.height": 96,
    "preprocess.width": 80,
    "backbone.trainable_from": "mixed10",
    "train.epochs": 2,
    "train.batch_size": 16,
    "evaluate.resamples": 100,
    "mistakes.images": 4,
}
"""Changes of params.yaml that make the default pipeline as fast as possible."""


SMALL_BACKBONE = """

def small_backbone(include_top: bool, weights: None, input_tensor=None) -> keras.Model:
    image = keras.Input((None, None, 3)) if input_tensor is None else input_tensor
    output = keras.layers.Conv2D(8, 5, strides=4, use_bias=False)(image)
    output = keras.layers.BatchNormalization(scale=False)(output)
    output = keras.layers.Activation("relu", name="mixed10")(output)
    return keras.Model(keras.utils.get_source_inputs(image), output)
"""


def make_project(folder: Path, changes: dict[str, Any]) -> Path:
    """Copy the repository without its data into `folder`, with parameters changed."""
    folder.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, folder / name)
    change_params(folder, changes)
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "init", "--quiet")
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    shutil.copytree(ROOT / ".dvc" / "plots", folder / ".dvc" / "plots")
    run(folder, *GIT, "commit", "--quiet", "-m", "start")
    return folder


def use_small_backbone(folder: Path) -> None:
    """Replace InceptionV3 in a project by a network that TensorFlow prepares in a tenth of the time."""
    network = folder / "src" / "facegender" / "network"
    for name in ("backbone.py", "weights.py"):
        path = network / name
        path.write_text(path.read_text(encoding="utf-8").replace("keras.applications.InceptionV3", "small_backbone"))
    with (network / "backbone.py").open("a", encoding="utf-8") as file:
        file.write(SMALL_BACKBONE)
    with (network / "weights.py").open("a", encoding="utf-8") as file:
        file.write("\n\nfrom facegender.network.backbone import small_backbone\n")


def put_stand_ins(folder: Path, stages: Iterable[str]) -> None:
    """Replace the scripts of stages with stand_in.py."""
    for stage in stages:
        shutil.copy(Path(__file__).with_name("stand_in.py"), folder / "stages" / f"{stage}.py")


def keep_stages(folder: Path, stages: Iterable[str]) -> None:
    """Remove all other stages from dvc.yaml."""
    path = folder / "dvc.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["stages"] = {stage: content["stages"][stage] for stage in stages}
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def commit_all(folder: Path, message: str) -> None:
    """Commit all that Git does not ignore."""
    run(folder, "git", "add", "--all")
    run(folder, *GIT, "commit", "--quiet", "-m", message)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment variables that commands in a project need."""
    return os.environ | {
        # The copy's own library, or this repository's, and not the installed one.
        "PYTHONPATH": str(folder / "src" if (folder / "src").is_dir() else ROOT / "src"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def run(folder: Path, *command: str, status: int = 0) -> str:
    """Run a command in a project, check that it exits with `status`, and return its output."""
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
    printed = done.stdout + done.stderr
    assert done.returncode == status, printed
    return printed


def repro(folder: Path) -> set[str]:
    """Run `dvc repro` and return the names of the stages that ran."""
    return set(re.findall(r"^Running stage '(.+)':", run(folder, "dvc", "repro"), flags=re.MULTILINE))


def change_params(folder: Path, changes: dict[str, Any]) -> None:
    """Set parameters by dotted key."""
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        group, leaf = key.split(".")
        assert leaf in params[group], key
        params[group][leaf] = value
    path.write_text(yaml.safe_dump(params), encoding="utf-8")


def metrics(folder: Path, name: str) -> dict[str, Any]:
    """Read metrics/`name`.json."""
    content: dict[str, Any] = json.loads((folder / "metrics" / f"{name}.json").read_text(encoding="utf-8"))
    return content
