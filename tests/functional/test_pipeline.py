"""The whole pipeline, run by `dvc repro`, including TensorFlow."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from facegender.data.lists import read_attributes
from tests.functional.project import TINY, change_params, commit_all, environment, make_project, metrics, repro, run
from tests.paths import ROOT

pytestmark = pytest.mark.slow

END = {"evaluate", "slices", "mistakes", "report"}
MODEL = END | {"evaluate_dataset@all"}


CHANGES = TINY | {
    "dataset.identities": "identities.txt",
    # The same images once more, all of them.
    "evaluate.datasets": {
        "all": {
            "images": "data/synthetic/img_align_celeba.zip",
            "attributes": "data/synthetic/list_attr_celeba.csv",
            "identities": "identities.txt",
        }
    },
}


def make(folder: Path) -> Path:
    """Make a project with two images of each identity."""
    make_project(folder, CHANGES)
    lines = [f"{number:06}.jpg {(number - 1) // 2}\n" for number in range(1, 501)]
    (folder / "identities.txt").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make(tmp_path_factory.mktemp("pipeline") / "project")
    repro(folder)
    return folder


def numbers(content: Any) -> Iterator[Any]:
    """Yield all leaves."""
    if isinstance(content, dict):
        for value in content.values():
            yield from numbers(value)
    else:
        yield content


def test_every_metric_is_a_finite_number(project: Path) -> None:
    files = sorted((project / "metrics").rglob("*.json"))

    assert len(files) == 12
    for file in files:
        if file.name == "processor.json":
            continue
        for number in numbers(json.loads(file.read_text(encoding="utf-8"))):
            assert isinstance(number, (int, float)), file
            assert math.isfinite(number), file


def test_predictions_are_those_of_the_test_rows_with_their_labels(project: Path) -> None:
    partition = pd.read_csv(project / "data" / "partition" / "test.csv").set_index("image_id")["label"]
    predictions = pd.read_csv(project / "data" / "predictions.csv").set_index("image_id")

    assert len(predictions) == 12
    assert predictions["label"].to_dict() == partition.to_dict()
    accuracy = (predictions["predicted"] == predictions["label"]).mean()
    assert metrics(project, "evaluate")["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert metrics(project, "evaluate").keys() == metrics(project, "baseline").keys()


def test_the_baseline_predicts_the_same_images(project: Path) -> None:
    baseline, predictions = (pd.read_csv(project / "data" / f"{name}.csv") for name in ("baseline", "predictions"))

    assert list(baseline) == list(predictions)
    assert baseline[["image_id", "label", "identity"]].equals(predictions[["image_id", "label", "identity"]])
    assert (baseline["predicted"] == (baseline["probability"] >= 0.5)).all()
    accuracy = (baseline["predicted"] == baseline["label"]).mean()
    assert metrics(project, "baseline")["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert " its baseline: " in run(project, "facegender", "summary")


def test_identities_are_resampled_where_they_are_known(project: Path) -> None:
    predictions = pd.read_csv(project / "data" / "predictions.csv")

    assert (predictions["identity"] == (predictions["image_id"].str[:6].astype(int) - 1) // 2).all()
    assert "on other identities of the same kind" in (project / "metrics" / "report.html").read_text(encoding="utf-8")


def test_a_further_test_set_is_evaluated_like_the_test_split(project: Path) -> None:
    further = pd.read_csv(project / "data" / "datasets" / "all.csv").set_index("image_id")
    predictions = pd.read_csv(project / "data" / "predictions.csv").set_index("image_id")

    assert len(further) == 120
    assert metrics(project, "datasets/all")["images"] == 120
    # The same images in the same stages; only the other images in their batches differ.
    joined = further.loc[predictions.index]
    assert joined["probability"].to_numpy() == pytest.approx(predictions["probability"].to_numpy(), abs=1e-5)
    assert joined[["label", "identity"]].equals(predictions[["label", "identity"]])


def test_a_further_test_set_of_one_class_is_one_line_before_any_work(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    attributes = read_attributes(folder / "data" / "synthetic" / "list_attr_celeba.csv")["Male"]
    lines = [f"{image_id},1\n" for image_id in attributes.index[attributes == 1]]
    (folder / "men.csv").write_text("".join(["image_id,Male\n", *lines]), encoding="utf-8")
    further = {"images": "data/synthetic/img_align_celeba.zip", "attributes": "men.csv", "identities": "identities.txt"}
    change_params(folder, {"evaluate.datasets": {"men": further}})

    printed = run(folder, "python", "-m", "stages.partition", "men", status=1)

    assert printed.startswith("error: evaluate.datasets.men: no image is No male, but the metrics need both classes; ")
    assert printed.count("\n") == 1


def test_the_model_takes_uint8_and_returns_two_probabilities_in_a_new_process(project: Path) -> None:
    program = (
        "import keras, numpy as np\n"
        "model = keras.saving.load_model('models/gender.keras', safe_mode=True)\n"
        "images = np.random.default_rng(0).integers(0, 256, (3, 96, 80, 3), dtype=np.uint8)\n"
        "probabilities = model.predict(images, verbose=0)\n"
        "assert str(model.inputs[0].dtype) == 'uint8', model.inputs\n"
        "assert probabilities.shape == (3, 2) and np.allclose(probabilities.sum(1), 1, atol=1e-5), probabilities\n"
    )
    run(project, "python", "-c", program)


@pytest.mark.parametrize(
    "stage",
    [pytest.param("calibrate", marks=pytest.mark.long), "evaluate", pytest.param("mistakes", marks=pytest.mark.long)],
)
def test_stages_after_training_give_the_same_bytes_where_tensorflow_is_not_installed(project: Path, stage: str) -> None:
    paths = [project / "data" / "predictions.csv", *(project / "models").glob("gender.*")]
    before = [path.read_bytes() for path in paths]
    run(project, "dvc", "unprotect", "--quiet", *map(str, paths))
    program = (
        f"import sys; sys.modules.update(tensorflow=None, keras=None)\nimport stages.{stage}; stages.{stage}.main()"
    )

    run(project, "python", "-c", program)

    assert [path.read_bytes() for path in paths] == before


def test_the_gate_passes_for_what_the_pipeline_wrote(project: Path) -> None:
    printed = run(project, "facegender", "gate", "lock", "model")

    assert "| lock | pass |" in printed
    assert "| model | pass |" in printed


def test_dvc_shows_metrics_and_plots(project: Path) -> None:
    shown = json.loads(run(project, "dvc", "metrics", "show", "--json").split("\n")[0])
    data = shown[""]["data"]
    assert "metrics/evaluate.json" in data
    assert "metrics/baseline.json" in data

    run(project, "dvc", "plots", "show", "--out", "page")
    page = (project / "page" / "index.html").read_text(encoding="utf-8")
    titles = ("Loss", "Accuracy", "ROC on test images", "Precision and recall of Male", "Reliability")
    eda = ("balance.png", "rates.png", "correlation.png", "examples.png")
    pictures = (*eda, "augment.png", "mistakes.png", "slices.png")
    for wanted in (*titles, *pictures):
        assert wanted in page, wanted


def test_the_notebook_runs_on_what_the_pipeline_wrote(project: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "notebooks" / "tour.ipynb", as_version=4)

    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(project)}})
    client.execute(env=environment(project))

    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert f"accuracy: {round(metrics(project, 'evaluate')['accuracy'], 4)} " in printed
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    # The correlations, the faces, two of them with their copies, the predictions and the thresholds.
    assert len(pictures) == 6


@pytest.mark.long
def test_a_cold_run_in_a_clone_gives_the_same_bytes(project: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / ".gitignore", project)
    commit_all(project, "finished")
    clone = tmp_path / "other place"
    run(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
    kept = [name for name in run(clone, "git", "ls-files", "metrics").split() if name.endswith((".json", ".txt"))]
    for name in ("dvc.lock", *kept):
        (clone / name).unlink()

    repro(clone)

    # dvc.lock has the MD5 sum of every out.
    assert run(clone, "git", "status", "--porcelain") == ""
    assert (clone / "dvc.lock").read_bytes() == (project / "dvc.lock").read_bytes()

    assert "report.html" in run(clone, "facegender", "report")
    page = (clone / "report.html").read_text(encoding="utf-8")
    assert run(clone, "git", "rev-parse", "--short=12", "HEAD").strip() in page
    assert "preprocess@train" in page
    assert run(clone, "git", "status", "--porcelain") == ""


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "value", "affected"),
    [
        (
            "partition.test",
            16,
            {"partition", "preprocess@test", "features@test", "baseline"} | END,
        ),
        ("calibrate.threshold", 0.99, {"calibrate"} | MODEL),
        ("mistakes.images", 2, {"mistakes", "report"}),
    ],
)
def test_only_the_affected_stages_run(project: Path, key: str, value: Any, affected: set[str]) -> None:
    before = (project / "params.yaml").read_text(encoding="utf-8")
    lock = (project / "dvc.lock").read_bytes()
    change_params(project, {key: value})

    assert repro(project) == affected

    (project / "params.yaml").write_text(before, encoding="utf-8")
    assert repro(project) == set()
    assert (project / "dvc.lock").read_bytes() == lock


@pytest.mark.long
def test_growing_the_training_set_computes_features_of_the_new_images_only(project: Path) -> None:
    # A shard has 100 images, so 200 images fill two, and 240 start a third.
    before = (project / "params.yaml").read_text(encoding="utf-8")
    change_params(project, {"synthetic_data.images": 500, "partition.train": 200, "augment.copies": 0})
    assert "features train: 2 shards computed" in run(project, "dvc", "repro", "features@train")
    change_params(project, {"partition.train": 240})
    assert "features train: 1 shards computed" in run(project, "dvc", "repro", "features@train")
    (project / "params.yaml").write_text(before, encoding="utf-8")


def test_a_user_s_mistake_is_one_line_without_a_traceback(project: Path) -> None:
    before = (project / "params.yaml").read_text(encoding="utf-8")
    change_params(project, {"partition.val": 5000})

    printed = run(project, "dvc", "repro", status=255)

    (project / "params.yaml").write_text(before, encoding="utf-8")
    assert "error: partition.val: 2500 images of class No male needed" in printed
    assert "Traceback" not in printed
    assert not list((project / "data").rglob(".partial*"))
