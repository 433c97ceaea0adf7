"""The stages that DVC re-runs when each parameter changes."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo
from dvc.repo.graph import get_subgraph_of_nodes

from facegender.repository.check import IMAGENET
from tests.functional.project import TINY, change_params, make_project, put_stand_ins, repro, run
from tests.paths import ROOT

pytestmark = pytest.mark.slow

SPLITS = ("train", "val", "test")
REPORT = {"report"}
END = {"evaluate", "slices", "mistakes"} | REPORT
CALIBRATE = {"calibrate"} | END
TRAIN = {"train", "processor"} | CALIBRATE
FEATURES = {f"features@{split}" for split in (*SPLITS, "train_copies")} | TRAIN
AUGMENT = {"augment", "features@train_copies"} | TRAIN
PREPROCESS = {f"preprocess@{split}" for split in SPLITS}
IMAGES = PREPROCESS | AUGMENT | FEATURES | {"baseline"}
PARTITION = {"partition"} | IMAGES

# For every key: a new value, and the stages that it re-runs.
AFFECTED: dict[str, tuple[Any, set[str]]] = {
    "synthetic_data.images": (126, {"synthetic_data", "eda"} | PARTITION),
    "synthetic_data.seed": (8, {"synthetic_data", "eda"} | PARTITION),
    # The same lists and images under another path. The model records whether the images are drawn.
    "dataset.images": ("copy/img_align_celeba.zip", {"check", "eda", "partition"} | PREPROCESS | CALIBRATE),
    "dataset.attributes": ("copy/list_attr_celeba.csv", {"check", "eda", "partition", "slices", "calibrate"} | REPORT),
    "dataset.partitions": ("copy/list_eval_partition.csv", {"check", "eda", "partition"} | REPORT),
    # Identities are a column of the partition tables; they do not change an image's bytes and label.
    "dataset.identities": ("copy/identity_CelebA.txt", {"check", "partition", "baseline"} | PREPROCESS | END),
    "eda.examples": (5, {"eda"} | REPORT),
    "partition.train": ("all", {"partition", "preprocess@train", "features@train", "baseline"} | AUGMENT),
    "partition.val": (14, {"partition", "preprocess@val", "features@val"} | TRAIN),
    "partition.test": (14, {"partition", "preprocess@test", "features@test", "baseline"} | END),
    "partition.seed": (121, PARTITION),
    "preprocess.height": (98, IMAGES),
    "preprocess.width": (82, IMAGES),
    # No image is bad here, so nothing changes.
    "preprocess.on_bad_image": ("skip", {"partition"} | PREPROCESS | REPORT),
    "augment.mode": ("fresh", AUGMENT),
    "augment.copies": (2, AUGMENT),
    "augment.rotation": (11, AUGMENT),
    "augment.zoom": (0.3, AUGMENT),
    "augment.horizontal_flip": (False, AUGMENT),
    "augment.vertical_flip": (True, AUGMENT),
    "augment.width_shift": (0.1, AUGMENT),
    "augment.height_shift": (0.1, AUGMENT),
    "augment.shear": (5, AUGMENT),
    "augment.brightness": (0.1, AUGMENT),
    "augment.contrast": (0.1, AUGMENT),
    "augment.colour": (0.1, AUGMENT),
    "augment.seed": (121, AUGMENT),
    "backbone.weights": ("imagenet", {"check", "pretrained"} | FEATURES),
    # The path alone re-runs these stages, although the file is read only if backbone.weights is `file`.
    "backbone.weights_file": ("copy/weights.h5", {"check", "pretrained"} | FEATURES),
    "backbone.trainable_from": ("head", {"check"} | FEATURES),
    "backbone.precision": ("bfloat16", FEATURES),
    "train.epochs": (3, TRAIN),
    "train.batch_size": (8, TRAIN),
    "train.learning_rate": (0.01, TRAIN),
    "train.patience": (1, TRAIN),
    "train.monitor": ("val_accuracy", TRAIN),
    "train.schedule": ("constant", TRAIN),
    "train.warmup_steps": (2, TRAIN),
    "train.weight_decay": (0.01, TRAIN),
    "train.label_smoothing": (0.05, TRAIN),
    "train.ema_momentum": (0.9, TRAIN),
    "train.precision": ("bfloat16", TRAIN),
    "train.dropout": (0.25, TRAIN),
    "train.hidden_units": (8, TRAIN),
    "train.seed": (121, TRAIN),
    "calibrate.threshold": (0.6, CALIBRATE),
    "calibrate.mirror": (True, CALIBRATE),
    "evaluate.resamples": (200, END),
    "evaluate.seed": (121, END),
    "evaluate.datasets": (
        {
            "copy": {
                "images": "copy/img_align_celeba.zip",
                "attributes": "copy/list_attr_celeba.csv",
                "identities": "copy/identity_CelebA.txt",
            }
        },
        {f"{stage}_dataset@copy" for stage in ("partition", "preprocess", "features", "evaluate")} | {"check"} | REPORT,
    ),
    "mistakes.images": (3, {"mistakes"} | REPORT),
    # Not even the stages that read them: they affect what is kept in .cache, not the outs.
    "cache.gigabytes": (0.5, set()),
    "cache.checkpoint_minutes": (1, set()),
    # Requirements for the model, which do not change it.
    "gate.floors": ({"accuracy": 0.9}, set()),
    "gate.ceilings": ({}, set()),
    "gate.margins": ({"roc_auc": 0.001}, set()),
    "gate.baseline": ("required", set()),
    "gate.tolerance": (0.01, set()),
}

# Other keys that have to change before, as the new value is a mistake without them.
NEEDED: dict[str, dict[str, Any]] = {
    "augment.mode": {"augment.copies": 0, "backbone.trainable_from": "image"},
    "calibrate.mirror": {"backbone.trainable_from": "image"},
}

# Stand-ins replace the stages that need TensorFlow or read what stand-ins wrote; all others really run.
STOOD_IN = (
    *("pretrained", "features", "train", "calibrate"),
    *("evaluate", "slices", "mistakes", "report"),
)


@pytest.fixture(autouse=True)
def imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a file into Keras's cache, so that the stage check accepts imagenet where there is no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / IMAGENET.rpartition("/")[2]).touch()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("affected") / "project", TINY)
    put_stand_ins(folder, STOOD_IN)
    repro(folder)
    shutil.copytree(folder / "data" / "synthetic", folder / "copy")
    attributes = (folder / "copy" / "list_attr_celeba.csv").read_text(encoding="utf-8").splitlines()[1:]
    identities = [f"{line.split(',')[0]} {number}\n" for number, line in enumerate(attributes)]
    (folder / "copy" / "identity_CelebA.txt").write_text("".join(identities), encoding="utf-8")
    (folder / "copy" / "weights.h5").write_bytes(b"weights")
    return folder


def test_the_table_has_every_key_of_params_yaml() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

    assert set(AFFECTED) == {f"{group}.{leaf}" for group, leaves in params.items() for leaf in leaves}


WHOLE_GROUPS = ("synthetic_data", "eda", "partition", "augment", "train", "calibrate", "mistakes")
"""Groups that dvc.yaml names as a whole: DVC treats keys of one group that affect the same stages alike."""


def representatives() -> list[str]:
    """Return all keys but those of a whole group that affect the same stages as an earlier one."""
    found: dict[Any, str] = {}
    for key, (_, affected) in AFFECTED.items():
        group = key.split(".")[0]
        found.setdefault((group if group in WHOLE_GROUPS else key, key in NEEDED, frozenset(affected)), key)
    return list(found.values())


def test_the_groups_that_dvc_yaml_names_as_a_whole() -> None:
    definitions = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    named = {name for definition in definitions for name in definition.get("do", definition).get("params", [])}

    assert {name for name in named if name.split(".")[0] in WHOLE_GROUPS} == set(WHOLE_GROUPS)


def changed_and_later_stages(project: Path) -> tuple[set[str], set[str]]:
    """Return the stages that have changed by `dvc status`, and the same stages with all that depend on their outs."""
    with Repo(str(project)) as repo:
        status = repo.status()
        changed = [stage for stage in repo.index.stages if stage.addressing in status]
        # Without stages, DVC returns the whole graph.
        later = get_subgraph_of_nodes(repo.index.graph, changed, downstream=True) if changed else ()
        return {stage.name for stage in changed}, {stage.name for stage in later}


def test_nothing_is_affected_where_nothing_changed(project: Path) -> None:
    assert changed_and_later_stages(project) == (set(), set())


@pytest.mark.parametrize("key", representatives())
def test_a_change_is_noticed_by_affected_stages_and_affects_only_later_ones(project: Path, key: str) -> None:
    value, affected = AFFECTED[key]
    before = (project / "params.yaml").read_text(encoding="utf-8")
    change_params(project, {key: value})

    changed, later = changed_and_later_stages(project)

    (project / "params.yaml").write_text(before, encoding="utf-8")
    assert bool(changed) == bool(affected)
    assert changed <= affected <= later


@pytest.fixture(scope="module")
def changing_project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(project, tmp_path_factory.mktemp("changing") / "project", symlinks=True))


RUN_FIRST = ("augment.copies", "train.epochs", "evaluate.datasets", "cache.gigabytes")
"""Keys that `make test` runs: of images, training, stages and nothing. `make test-long` runs the others."""


@pytest.mark.parametrize(
    "key",
    [*RUN_FIRST, *(pytest.param(key, marks=pytest.mark.long) for key in representatives() if key not in RUN_FIRST)],
)
def test_a_change_re_runs_exactly_the_affected_stages(changing_project: Path, key: str) -> None:
    project = changing_project
    value, affected = AFFECTED[key]
    before = (project / "params.yaml").read_text(encoding="utf-8")
    ran_before: set[str] = set()
    if key in NEEDED:
        change_params(project, NEEDED[key])
        ran_before = repro(project)
    change_params(project, {key: value})

    # The results that another key's change replaced are restored from DVC's run cache, so those stages do not run.
    ran = repro(project)

    (project / "params.yaml").write_text(before, encoding="utf-8")
    # DVC does not delete the files of a data set that was removed.
    for file in (project / "metrics" / "datasets").glob("copy*"):
        file.unlink()
    if "check" in ran | ran_before:
        # DVC's run cache does not have this stage.
        run(project, "dvc", "repro", "check")
    assert ran == affected


@pytest.mark.long
def test_other_weights_under_the_same_name_are_noticed(changing_project: Path) -> None:
    project = changing_project
    before = (project / "params.yaml").read_text(encoding="utf-8")
    change_params(project, {"backbone.weights": "file", "backbone.weights_file": "copy/weights.h5"})
    repro(project)

    (project / "copy" / "weights.h5").write_bytes(b"other weights")
    ran = repro(project)

    (project / "params.yaml").write_text(before, encoding="utf-8")
    assert ran == {"pretrained"} | FEATURES


ALL_TRAINED = {"augment.mode": "fresh", "augment.copies": 0, "backbone.trainable_from": "image"}


@pytest.fixture(scope="module")
def trained_from_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project in which features really runs, and stores nothing because nothing is frozen."""
    folder = make_project(tmp_path_factory.mktemp("image") / "project", TINY | ALL_TRAINED)
    put_stand_ins(folder, set(STOOD_IN) - {"features"})
    repro(folder)
    assert [path.name for path in (folder / "data" / "features").glob("*/*")] == ["trunk.json"] * 4
    return folder


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "value", "affected"),
    [
        # augment writes the same transformations.
        ("partition.train", 44, {"partition", "preprocess@train", "augment", "features@train", "baseline"} | TRAIN),
        ("partition.val", 14, {"partition", "preprocess@val", "features@val"} | TRAIN),
        ("partition.test", 14, {"partition", "preprocess@test", "features@test", "baseline"} | END),
        ("augment.rotation", 11, AUGMENT),
        # All images change, although no features do.
        ("partition.seed", 121, PARTITION - {"features@train_copies"}),
        ("backbone.weights", "imagenet", {"check", "pretrained"} | FEATURES),
    ],
)
def test_training_on_images_depends_on_the_images_although_no_features_are_stored(
    trained_from_images: Path, key: str, value: Any, affected: set[str]
) -> None:
    before = (trained_from_images / "params.yaml").read_text(encoding="utf-8")
    change_params(trained_from_images, {key: value})

    ran = repro(trained_from_images)

    (trained_from_images / "params.yaml").write_text(before, encoding="utf-8")
    assert ran == affected
