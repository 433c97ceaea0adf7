"""dvc.yaml names every file that affects what a stage writes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from facegender.imports import PLUMBING, imported_files
from tests.paths import ROOT

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
# Package data that a module reads.
DATA = {
    "src/facegender/network/weights.py": [
        "src/facegender/network/random_statistics.npz",
        "src/facegender/network/synthetic_weights.npz",
    ],
    "src/facegender/synthetic/copula.py": ["src/facegender/synthetic/attribute_latent.csv"],
    "src/facegender/reporting/report.py": ["src/facegender/reporting/templates/report.html"],
}
# A cheap stage names a folder instead of modules: if it re-runs unnecessarily, its outs stay the same and DVC stops.
FOLDERS = tuple(f"src/facegender/{name}" for name in ("data", "evaluation", "network", "synthetic"))
EXACT = ("features", "features_dataset", "pretrained", "train")


def script_of(name: str) -> str:
    """Return the name of the script that a stage runs."""
    stage = STAGES[name].get("do", STAGES[name])
    command, option, module, *_ = stage["cmd"].split()
    assert (command, option) == ("python", "-m")
    return str(module).removeprefix("stages.")


def collapsed(paths: set[str]) -> set[str]:
    """Replace the files in a folder of FOLDERS by the folder."""
    return {next((folder for folder in FOLDERS if path.startswith(f"{folder}/")), path) for path in paths}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_exactly_the_code_that_it_imports(name: str) -> None:
    stage = STAGES[name].get("do", STAGES[name])
    script = ROOT / "stages" / f"{script_of(name)}.py"
    imported = {path.relative_to(ROOT).as_posix() for path in imported_files([script])}
    needed = imported | {data for path in imported for data in DATA.get(path, [])}

    code = {dependency for dependency in stage["deps"] if dependency.startswith(("src/", "stages/"))}

    assert code == (needed if name in EXACT else collapsed(needed))


@pytest.mark.parametrize("path", sorted(PLUMBING), ids=lambda path: path.name)
def test_plumbing_is_used_and_changing_it_re_runs_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facegender.imports.PLUMBING", frozenset())
    scripts = [script for script in (ROOT / "stages").glob("*.py") if script.stem != "__init__"]

    assert path in imported_files(scripts) or path.name == "imports.py"
    assert not any(folder in path.relative_to(ROOT).as_posix() for folder in FOLDERS)
    # Its own imports are either plumbing as well, or dependencies for another reason.
    # cluster.py imports itself in its workers.
    own = [module for module in _modules(path) if module.startswith("facegender")]
    known = {"facegender.cache", "facegender.errors", "facegender.files", "facegender.processor"}
    assert set(own) - {"facegender.cluster"} <= known


def _modules(path: Path) -> list[str]:
    return re.findall(r"^\s*(?:from|import) ([\w.]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_script_is_a_stage() -> None:
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"} == set(map(script_of, STAGES))


@pytest.mark.parametrize("path", sorted((ROOT / "src/facegender").glob("*/**/__init__.py")), ids=str)
def test_a_package_file_has_no_code_that_stages_would_depend_on(path: Path) -> None:
    assert re.fullmatch(r'""".*"""\n', path.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_stages_do_not_use_what_the_topmost_package_file_defines() -> None:
    # So a change of it affects none of their results.
    stages = imported_files((ROOT / "stages").glob("*.py"))

    assert not [
        path
        for path in stages
        if re.search(r"^\s*(from facegender import|import facegender$)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def test_stages_that_need_no_tensorflow_do_not_import_it() -> None:
    # Not those of functions: tests/functional/test_pipeline.py runs the stages where TensorFlow is not installed.
    heavy = re.compile(r"^(import|from) (keras|tensorflow|dvclive)", flags=re.MULTILINE)
    with_tensorflow = {
        script
        for script in map(script_of, STAGES)
        if any(
            heavy.search(path.read_text(encoding="utf-8")) for path in imported_files([ROOT / f"stages/{script}.py"])
        )
    }

    # features on a GPU, and calibrate for mirror images.
    assert with_tensorflow == {"pretrained", "features", "train", "calibrate"}


@pytest.mark.parametrize("name", STAGES)
def test_metrics_and_plots_are_declared_so_that_the_run_cache_works(name: str) -> None:
    stage = STAGES[name].get("do", STAGES[name])

    # The stage check must run in each copy of the repository.
    for output in stage.get("outs", []) if name != "check" else []:
        assert isinstance(output, str) or list(output.values()) == [{"push": False}]
    assert not {"always_changed", "frozen"} & set(stage)
    for output in stage.get("metrics", []) + stage.get("plots", []):
        ((path, options),) = output.items()
        assert path.startswith("metrics/")
        assert options["cache"] is False
