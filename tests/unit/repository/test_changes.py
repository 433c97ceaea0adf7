"""The gate against fraud: each story is a pull request that tries to get a result past the gate."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from facegender.errors import FacegenderError
from facegender.repository import changes, gate_checks
from facegender.repository.changes import Weakened
from facegender.repository.gate import Finding
from facegender.repository.gate_checks import run_checks
from facegender.repository.lock import LockedStage
from tests.paths import ROOT

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
TEST_FILE = """import pytest

def test_one():
    assert 1

class TestMore:
    def test_two(self):
        assert 2
"""


def entry(stage: str, deps: dict[str, str], outs: dict[str, str]) -> dict[str, Any]:
    files = {
        kind: [{"path": path, "md5": md5} for path, md5 in of_kind.items()]
        for kind, of_kind in (("deps", deps), ("outs", outs))
    }
    return {"cmd": f"python -m stages.{stage}", **files, "params": {"params.yaml": {"train": {"dropout": 0.5}}}}


LOCK = {
    "preprocess@test": entry("preprocess test", {"raw.zip": "1"}, {"data/preprocessed/test": "2.dir"}),
    "baseline": entry("baseline", {"data/preprocessed/test": "2.dir"}, {"data/baseline.csv": "3"}),
    "calibrate": entry("calibrate", {"data/features/val": "4"}, {"models/gender.onnx": "5"}),
    "evaluate": entry(
        "evaluate",
        {"models/gender.onnx": "5", "data/baseline.csv": "3"},
        {"data/predictions.csv": "6", "metrics/evaluate.json": "7"},
    ),
    "slices": entry("slices", {"data/predictions.csv": "6"}, {"data/slices.csv": "8", "metrics/slices.json": "9"}),
}


def write_lock(sums: dict[str, str], stages: dict[str, Any] = LOCK) -> None:
    """Write dvc.lock with other MD5 sums, as `dvc commit` does after files were changed by hand."""
    text = json.dumps({"stages": stages})
    for path, md5 in sums.items():
        old = next(file["md5"] for stage in LOCK.values() for file in stage["outs"] if file["path"] == path)
        text = text.replace(json.dumps({"path": path, "md5": old}), json.dumps({"path": path, "md5": md5}))
    Path("dvc.lock").write_text(text, encoding="utf-8")


def write_stages(change: Callable[[dict[str, Any]], None]) -> None:
    content = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))
    change(content["stages"])
    Path("dvc.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def append(path: str, text: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(text)


def commit() -> None:
    subprocess.run(["git", "add", "--all"], check=True)
    user = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *user, "commit", "--quiet", "--allow-empty", "-m", "commit"], check=True)


@pytest.fixture
def branch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a branch that has no commit of its own yet; its base is `main`."""
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "dvc.yaml": (ROOT / "dvc.yaml").read_text(encoding="utf-8"),
        "metrics/processor.json": "{}",
        "requirements.lock": "dvc==1",
        "tests/test_a.py": TEST_FILE,
        "scripts/validate_model.sh": "exit 1",
        "src/facegender/repository/gate.py": "",
        "src/facegender/reporting/charts.py": "",
        "src/facegender/reporting/costs.py": "",
        **{f"stages/{path.name}": path.read_text(encoding="utf-8") for path in (ROOT / "stages").glob("*.py")},
    }.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    write_lock({})
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main"], check=True)
    commit()
    subprocess.run(["git", "switch", "--quiet", "--create", "branch"], check=True)
    return tmp_path


def found_by(check: str, base: str | None = "main") -> Finding:
    (finding,) = run_checks([check], base, False)
    return finding


NEW_MODEL = {"models/gender.onnx": "50", "data/predictions.csv": "60", "metrics/evaluate.json": "70"}


def test_a_pull_request_that_changes_nothing_passes(branch: Path) -> None:
    for check, found in {
        "pipeline": "dvc.yaml names all code of each stage, and takes nothing away",
        "outs": "stages with the inputs of main have its outs",
        "review": "nothing changes by which a pull request is judged",
    }.items():
        assert found_by(check) == (check, "pass", found, "")


def test_without_a_base_only_the_pipeline_is_checked(branch: Path) -> None:
    assert found_by("pipeline", None).verdict == "pass"
    for check in ("outs", "review"):
        assert found_by(check, None) == (check, "skipped", "no base to compare with: --base was not given", "")


@pytest.mark.parametrize(
    ("edited", "words"),
    [
        (["metrics/slices.json"], "slices (metrics/slices.json)"),
        (["data/predictions.csv", "metrics/evaluate.json"], "evaluate (data/predictions.csv, metrics/evaluate.json)"),
        (["data/baseline.csv"], "baseline (data/baseline.csv)"),
        (["models/gender.onnx"], "calibrate (models/gender.onnx)"),
        (["data/preprocessed/test"], "preprocess@test (data/preprocessed/test)"),
    ],
)
def test_results_that_are_edited_and_committed_to_dvc_are_refused(edited: list[str], words: str, branch: Path) -> None:
    write_lock(dict.fromkeys(edited, "edited"))
    commit()

    finding = found_by("outs")

    assert finding == (
        "outs",
        "fail",
        f"other outs than at main from the same command, inputs and parameters: {words}",
        "run: git checkout main -- dvc.lock metrics, dvc checkout, dvc repro; trust none of them until then",
    )


@pytest.mark.parametrize("path", ["metrics/processor.json", "requirements.lock"])
def test_another_machine_or_other_packages_may_explain_other_bytes_and_are_named(path: str, branch: Path) -> None:
    write_lock({"models/gender.onnx": "50"})
    append(path, "\n")
    commit()

    assert found_by("outs") == (
        "outs",
        "pass",
        "other outs than at main from the same command, inputs and parameters: calibrate (models/gender.onnx); "
        f"{path} may explain it",
        "run dvc repro --force on a machine that you trust, and compare dvc.lock",
    )


def test_outs_that_only_one_side_has_are_other_outs() -> None:
    base = {"a": LockedStage("same", {"old.csv": "1", "kept.csv": "2"}), "b": LockedStage("same", {"b.csv": "3"})}
    here = {
        "a": LockedStage("same", {"kept.csv": "2", "new.csv": "1"}),
        "b": LockedStage("another", {"b.csv": "4"}),
        "c": LockedStage("same", {"c.csv": "5"}),
    }
    assert list(changes.other_outs(base, here)) == ["a (new.csv, old.csv)"]


def test_all_stages_with_other_outs_and_all_reasons_are_named(branch: Path) -> None:
    write_lock({"data/baseline.csv": "30", "models/gender.onnx": "50"})
    for path in ("requirements.lock", "metrics/processor.json"):
        append(path, "\n")
    assert found_by("outs").found.endswith(
        ": baseline (data/baseline.csv), calibrate (models/gender.onnx); metrics/processor.json, requirements.lock may "
        "explain it"
    )


@pytest.mark.parametrize("part", ["cmd", "deps", "params"])
def test_a_stage_with_another_input_may_write_something_else(part: str, branch: Path) -> None:
    stages = json.loads(json.dumps(LOCK))
    other: dict[str, Any] = {
        "cmd": "python -m stages.calibrate again",
        "deps": [{"path": "data/features/val", "md5": "40"}],
        "params": {"params.yaml": {"train": {"dropout": 0.4}}},
    }
    stages["calibrate"][part] = other[part]
    write_lock({"models/gender.onnx": "50"}, stages)

    assert found_by("outs").verdict == "pass"


def test_other_raw_images_in_a_bucket_are_another_input(branch: Path) -> None:
    stages = json.loads(json.dumps(LOCK))
    stages["preprocess@test"]["deps"] = [{"path": "s3://bucket/faces.zip", "size": 9, "etag": "1-2"}]
    write_lock({}, stages)
    commit()
    subprocess.run(["git", "branch", "--force", "main"], check=True)

    write_lock({"data/preprocessed/test": "20.dir"}, stages)
    assert found_by("outs").verdict == "fail"
    stages["preprocess@test"]["deps"][0]["etag"] = "3-2"
    write_lock({"data/preprocessed/test": "20.dir"}, stages)
    assert found_by("outs").verdict == "pass"


def test_a_lock_file_with_a_conflict_is_one_line(branch: Path) -> None:
    append("dvc.lock", "\n<<<<<<< HEAD\n")
    assert found_by("outs")[1:3] == ("fail", "dvc.lock: not valid, perhaps because a merge is unfinished")


def test_a_base_with_a_conflict_is_one_line(branch: Path) -> None:
    lock, stages = (Path(name).read_text(encoding="utf-8") for name in ("dvc.lock", "dvc.yaml"))
    append("dvc.lock", "\n<<<<<<< HEAD\n")
    append("dvc.yaml", "\n<<<<<<< HEAD\n")
    commit()
    subprocess.run(["git", "branch", "--force", "main"], check=True)
    fork = subprocess.run(["git", "rev-parse", "main"], check=True, capture_output=True, text=True).stdout.strip()
    Path("dvc.lock").write_text(lock, encoding="utf-8")
    Path("dvc.yaml").write_text(stages, encoding="utf-8")

    words = "dvc.lock: not valid, perhaps because a merge is unfinished"
    assert found_by("outs").found == f"main: {words}"
    assert found_by("review").found == f"{fork}: {words}"
    assert found_by("pipeline").found == "main: dvc.yaml: missing or not valid"


def changed_stages(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    stages: dict[str, Any] = json.loads(json.dumps(STAGES))
    change(stages)
    return stages


def imports_one_module(script: str) -> list[str]:
    return [script, "src/facegender/evaluation/slices.py"] if script == "stages/slices.py" else [script]


def copy_metrics(stages: dict[str, Any]) -> None:
    stages["slices"]["cmd"] = "cp better.json metrics/slices.json"


def remove_code(stages: dict[str, Any]) -> None:
    stages["slices"]["deps"].remove("src/facegender/evaluation")


def freeze(stages: dict[str, Any]) -> None:
    stages["train"]["frozen"] = True


def move_away(stages: dict[str, Any]) -> None:
    stages["preprocess"]["do"]["wdir"] = "elsewhere"


def untrack(stages: dict[str, Any]) -> None:
    del stages["slices"]["metrics"]


def fewer_splits(stages: dict[str, Any]) -> None:
    del stages["preprocess"]["foreach"]["test"]


def run_for_a_group(stages: dict[str, Any]) -> None:
    # If the group is empty, the stage never runs.
    stages["slices"] = {"foreach": "${group}", "do": stages["slices"]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (copy_metrics, "slices runs 'cp better.json metrics/slices.json', not python -m stages.NAME"),
        (remove_code, "slices imports src/facegender/evaluation/slices.py, which is not in its deps"),
        (freeze, "train has frozen, which hides or moves what it does"),
        (move_away, "preprocess has wdir, which hides or moves what it does"),
        (untrack, "no stage writes metrics/slices.json"),
        (run_for_a_group, "no stage writes metrics/slices.json"),
        (fewer_splits, "no stage writes data/preprocessed/test"),
    ],
)
def test_what_dvc_yaml_may_never_have_is_refused(change: Callable[[dict[str, Any]], None], words: str) -> None:
    stages = changed_stages(change)

    mistakes = list(changes.pipeline_mistakes(stages, imports_one_module, gate_checks.JUDGED))

    assert mistakes == [words]
    assert changes.check_pipeline(mistakes, [], [], [], "main") == (
        "pipeline",
        "fail",
        f"dvc.yaml: {words}",
        "fix dvc.yaml, then run: dvc repro",
    )


def test_the_mistakes_of_all_stages_are_named() -> None:
    stages: dict[str, dict[str, Any]] = {
        "copy": {"cmd": "cp a b", "deps": ["stages/none.py"], "outs": ["b"]},
        "two": {"cmd": "python -m stages.two", "deps": ["stages", "src/one"], "wdir": "a", "frozen": True},
        # A text names a group of params.yaml, whose keys are not known here.
        "each": {"foreach": "${datasets}", "do": {"cmd": "python -m stages.each ${key}", "outs": ["${key}/out"]}},
        "both": {
            "foreach": ["x", "y"],
            "do": {"cmd": "python -m stages.both ${key}", "outs": [{"${key}/more": {"cache": False}}]},
        },
    }
    imported = {
        "stages/two.py": ["src/one/a.py", "src/one_more.py", "stages/two.py"],
        "stages/each.py": ["stages/each.py"],
        "stages/both.py": [],
    }
    assert list(changes.pipeline_mistakes(stages, imported.__getitem__, ["b", "x/more", "y/more", "x/out"])) == [
        "copy runs 'cp a b', not python -m stages.NAME",
        "two has frozen, which hides or moves what it does",
        "two has wdir, which hides or moves what it does",
        "two imports src/one_more.py, which is not in its deps",
        "each imports stages/each.py, which is not in its deps",
        "no stage writes x/out",
    ]


def remove_data(stages: dict[str, Any]) -> None:
    stages["slices"]["deps"].remove("data/predictions.csv")


def remove_params(stages: dict[str, Any]) -> None:
    del stages["train"]["params"]


def remove_stage(stages: dict[str, Any]) -> None:
    del stages["processor"]


def remove_plot(stages: dict[str, Any]) -> None:
    stages["evaluate"]["plots"].pop()


def run_another(stages: dict[str, Any]) -> None:
    stages["slices"]["cmd"] = "python -m stages.eda"
    stages["slices"]["deps"] += ["src", "stages/eda.py"]


def fewer_features(stages: dict[str, Any]) -> None:
    del stages["features"]["foreach"]["train_copies"]


WEAKENED: list[tuple[Callable[[dict[str, Any]], None], str, str]] = [
    (remove_data, "slices", "slices no longer depends on data/predictions.csv"),
    (remove_params, "train", "train no longer depends on the parameters train"),
    (remove_stage, "processor", "the stage processor is gone"),
    (remove_plot, "evaluate", "evaluate no longer writes metrics/plots/histogram.csv"),
    (run_another, "slices", "slices runs 'python -m stages.eda', not 'python -m stages.slices'"),
    (fewer_features, "features", "features no longer runs for train_copies"),
]


@pytest.mark.parametrize(("change", "script", "words"), WEAKENED)
def test_a_stage_that_loses_an_input_is_refused_unless_its_script_changes_and_no_result_does(
    change: Callable[[dict[str, Any]], None], script: str, words: str
) -> None:
    weakened = list(changes.weakened_stages(STAGES, changed_stages(change)))
    assert weakened == [Weakened(f"stages/{script}.py", words)]

    refused = changes.check_pipeline([], weakened, ["dvc.yaml"], [], "main")
    assert refused == (
        "pipeline",
        "fail",
        f"dvc.yaml: {words}, unlike at main, but the script is the same",
        "restore dvc.yaml, then run: dvc repro",
    )

    with_script = ["dvc.yaml", f"stages/{script}.py"]
    named = changes.check_pipeline([], weakened, with_script, [], "main")
    assert named == (
        "pipeline",
        "pass",
        f"dvc.yaml: {words}, unlike at main; no result changes",
        "read the changes of dvc.yaml",
    )

    refused = changes.check_pipeline([], weakened, with_script, ["models/gender.onnx"], "main")
    assert refused == (
        "pipeline",
        "fail",
        f"dvc.yaml: {words}, unlike at main, while results change (models/gender.onnx)",
        "restore dvc.yaml and run dvc repro, or merge it in a pull request of its own, with the same results as before",
    )


def test_what_all_stages_lose_is_named() -> None:
    each = {"foreach": "${datasets}", "do": {"cmd": "python -m stages.each ${key}", "deps": ["a.csv", "b.csv"]}}
    base: dict[str, dict[str, Any]] = {
        "gone": {"cmd": "python -m stages.gone"},
        "copy": {"cmd": "cp a b", "outs": [{"b": {"cache": False}}]},
        "each": each,
    }
    here: dict[str, dict[str, Any]] = {
        "copy": {"cmd": "cp a b"},
        "each": {"foreach": "${others}", "do": {"cmd": "python -m stages.each ${key}", "deps": ["b.csv"]}},
    }
    weakened = list(changes.weakened_stages(base, here))
    assert weakened == [
        Weakened("stages/gone.py", "the stage gone is gone"),
        # No script of a stage explains it.
        Weakened("", "copy no longer writes b"),
        Weakened("stages/each.py", "each no longer depends on a.csv"),
        Weakened("stages/each.py", "each no longer runs for ${datasets}"),
    ]
    # One script has changed, and explains what its own stage loses.
    assert changes.check_pipeline([], weakened[:3], ["stages/each.py"], [], "main").found == (
        "dvc.yaml: the stage gone is gone, copy no longer writes b, unlike at main, but the script is the same"
    )


def test_a_new_model_from_the_same_pipeline_passes(branch: Path) -> None:
    write_lock(NEW_MODEL)
    assert found_by("pipeline").verdict == "pass"


def test_the_pipeline_of_a_branch_is_compared_with_its_base(branch: Path) -> None:
    write_stages(remove_data)
    found = "dvc.yaml: slices no longer depends on data/predictions.csv, unlike at main"
    assert found_by("pipeline")[1:3] == ("fail", f"{found}, but the script is the same")

    append("stages/slices.py", "# It reads less.\n")
    write_lock(NEW_MODEL)
    changed = "models/gender.onnx, data/predictions.csv, metrics/evaluate.json"
    assert found_by("pipeline")[1:3] == ("fail", f"{found}, while results change ({changed})")


@pytest.mark.parametrize("base", [None, "main"])
def test_the_pipeline_is_compared_with_what_the_scripts_import(base: str | None, branch: Path) -> None:
    write_stages(remove_code)
    finding = found_by("pipeline", base)
    assert finding.verdict == "fail"
    assert finding.found.startswith("dvc.yaml: slices imports src/facegender/evaluation/bootstrap.py, which is not in")


def test_what_is_added_to_a_stage_is_not_named() -> None:
    more = json.loads(json.dumps(STAGES))
    more["slices"]["deps"].append("data/more.csv")
    more["slices"]["desc"] = "Another text"
    more["features"]["foreach"]["more"] = {}
    more["new"] = more["slices"]
    # `pipeline_mistakes` knows what a script imports.
    more["slices"]["deps"].remove("src/facegender/files.py")

    assert list(changes.weakened_stages(STAGES, more)) == []
    assert Weakened("stages/slices.py", "the stage new is gone") in list(changes.weakened_stages(more, STAGES))


@pytest.mark.parametrize("content", ["", "stages: 1", "stages: {a: {}}", "stages: {a: {cmd: [b]}}", "stages: {", "[1]"])
def test_a_damaged_dvc_yaml_is_one_line(content: str, branch: Path) -> None:
    Path("dvc.yaml").write_text(content, encoding="utf-8")
    assert found_by("pipeline") == ("pipeline", "fail", "dvc.yaml: missing or not valid", "run: git restore dvc.yaml")


def test_a_dvc_yaml_that_cannot_be_read_is_one_line(branch: Path) -> None:
    expected = ("pipeline", "fail", "dvc.yaml: missing or not valid", "run: git restore dvc.yaml")
    Path("dvc.yaml").write_bytes(b"stages: {a: \xff}")
    assert found_by("pipeline") == expected
    Path("dvc.yaml").unlink()
    assert found_by("pipeline") == expected


def test_a_stage_without_its_script_is_one_line(branch: Path) -> None:
    Path("stages/eda.py").unlink()
    found = "dvc.yaml: stages/eda.py does not exist"
    assert found_by("pipeline") == ("pipeline", "fail", found, "fix the stage's cmd")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("def main(:", "invalid syntax (<unknown>, line 1)"),
        ("from . import eda", "line 1: relative imports are not supported"),
    ],
)
def test_a_stage_that_is_not_python_is_one_line(code: str, error: str, branch: Path) -> None:
    Path("stages/eda.py").write_text(code, encoding="utf-8")
    finding = found_by("pipeline")
    assert finding.verdict == "fail"
    assert finding.found.startswith("stages/eda.py: it or a module that it imports cannot be read as this project's ")
    assert finding.found.endswith(f"{error})")
    assert finding.remedy == "fix that, then run: dvc repro"


def test_keys_without_a_value_have_no_entries() -> None:
    empty = {"a": {"cmd": "python -m stages.a", "deps": None, "params": None, "outs": None}}
    assert list(changes.pipeline_mistakes(empty, lambda script: [], ["x"])) == ["no stage writes x"]
    assert list(changes.weakened_stages(empty, empty)) == []


FEWER: dict[str, tuple[str | None, str]] = {
    "deleted": (TEST_FILE.replace("def test_one", "def unused"), "test_one is gone"),
    "deleted file": (None, "test_one is gone, test_two is gone"),
    "deleted method": (TEST_FILE.replace("def test_two", "def unused"), "test_two is gone"),
    "never collected": (TEST_FILE.replace("def test_one():", "if False:\n  def test_one():"), "test_one is gone"),
    "damaged": ("def test_one(:", "test_one is gone, test_two is gone"),
    "marked": (TEST_FILE.replace("def test_one", "@pytest.mark.skip\ndef test_one"), "more skip"),
    "skipped inside": (TEST_FILE.replace("    assert 1", "    pytest.skip()\n    assert 1"), "more skip"),
    "may fail": (TEST_FILE.replace("def test_one", "@pytest.mark.xfail\ndef test_one"), "more xfail"),
    "skipped file": (TEST_FILE + "\npytestmark = pytest.mark.skipif(True, reason='x')\n", "more skipif"),
    "not a test": (TEST_FILE + "\n__test__ = False\n", "more __test__"),
    "ignored file": (TEST_FILE + "\ncollect_ignore = ['test_a.py']\n", "more collect_ignore"),
    "hook": (TEST_FILE + "\ndef pytest_collection_modifyitems(items):\n    items.clear()\n", "modifyitems"),
}


@pytest.mark.parametrize(("text", "words"), FEWER.values(), ids=FEWER)
def test_tests_that_go_while_results_change_are_refused_and_otherwise_named(text: str | None, words: str) -> None:
    path = "tests/test_a.py"
    removed = changes.removed_tests({path: TEST_FILE}, {} if text is None else {path: text})
    assert words in ", ".join(removed)

    named = changes.check_review({"tests": [path]}, removed, [], "main")
    assert named[:2] == ("review", "pass")
    assert named.found.startswith(f"no check judges these changes: tests: {path}; fewer tests: ")
    assert words in named.found

    refused = changes.check_review({"tests": [path]}, removed, ["models/gender.onnx"], "main")
    assert refused[:2] == ("review", "fail")
    assert refused.found.startswith("fewer tests than at main while results change (models/gender.onnx): ")
    assert words in refused.found
    assert refused.remedy == ("restore them, or merge it in a pull request of its own, with the same results as before")


def test_what_several_files_of_tests_lose_is_named_in_order() -> None:
    asynchronous = TEST_FILE + "\nasync def test_later():\n    assert 3\n"
    base = {
        "tests/test_a.py": asynchronous,
        "tests/test_b.py": "def test_one():\n    import pytest\n    pytest.skip()\n",
    }
    here = {
        # The other test of this name stays, so one is gone.
        "tests/test_a.py": TEST_FILE.replace("def test_one", "def unused"),
        # One skip was here before.
        "tests/test_b.py": "def test_one():\n    import pytest\n    pytest.xfail()\n    pytest.skip()\n",
        "tests/test_c.py": "from pytest import skip, importorskip\n",
    }
    assert changes.removed_tests(base, here) == [
        "test_later is gone",
        "test_one is gone",
        "tests/test_b.py has more xfail",
        "tests/test_c.py has more importorskip",
        "tests/test_c.py has more skip",
    ]


def test_a_file_of_tests_that_is_not_text_and_other_files_are_read_as_they_are(branch: Path) -> None:
    Path("tests/test_a.py").write_bytes(TEST_FILE.encode() + b"# \xff\n")
    append("tests/notes.txt", "import pytest; pytest.skip()")
    append("stages/eda.py", "\nimport pytest; pytest.skip()\n")
    write_lock(NEW_MODEL)
    commit()
    found = "no check judges these changes: tests: tests/notes.txt, tests/test_a.py"
    assert found_by("review")[1:3] == ("pass", found)


def test_a_branch_that_deletes_tests_and_brings_a_new_model_is_refused(branch: Path) -> None:
    Path("tests/test_a.py").unlink()
    assert found_by("review").verdict == "pass"
    write_lock(NEW_MODEL)

    finding = found_by("review")

    changed = "models/gender.onnx, data/predictions.csv, metrics/evaluate.json"
    assert finding[1:3] == (
        "fail",
        f"fewer tests than at main while results change ({changed}): test_one is gone, test_two is gone. Changed: "
        "tests: tests/test_a.py",
    )


def test_tests_may_move_to_another_file_and_be_added(branch: Path) -> None:
    write_lock(NEW_MODEL)
    Path("tests/test_a.py").rename("tests/test_b.py")
    append("tests/test_b.py", "\ndef test_three():\n    assert 3\n")
    commit()

    finding = found_by("review")

    assert finding[1:3] == ("pass", "no check judges these changes: tests: tests/test_a.py, tests/test_b.py")


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("src/facegender/repository/gate.py", "the gate's own code"),
        ("scripts/validate_model.sh", "CI and its commands"),
        (".github/workflows/validate-model.yml", "CI and its commands"),
        (".gitlab-ci.yml", "CI and its commands"),
        (".ci/run", "CI and its commands"),
        ("Makefile", "CI and its commands"),
        ("tests/conftest.py", "tests"),
        ("pytest.ini", "tests"),
        ("numpy.py", "modules that may hide packages"),
        ("src/numpy/__init__.py", "modules that may hide packages"),
        ("conftest.py", "modules that may hide packages"),
        ("numpy.so", "modules that may hide packages"),
        ("src/facegender/cache.py", "code whose changes run no stage"),
        ("src/facegender/params.py", "the gate's own code"),
        ("pyproject.toml", "what is installed"),
        ("requirements.lock", "what is installed"),
        ("dvc.yaml", "what DVC does"),
        (".dvcignore", "what DVC does"),
        (".dvc/config", "what DVC does"),
    ],
)
def test_what_no_check_judges_is_named_for_the_reviewer(path: str, group: str) -> None:
    code = {"src/facegender/repository/gate.py", "src/facegender/params.py"}
    plumbing = {"src/facegender/cache.py", "src/facegender/params.py"}
    files = [path, "src/facegender/reporting/charts.py", "stages/eda.py", "docs/app.md"]
    groups = changes.unjudged(files, code, plumbing)

    assert groups == {group: [path]}
    finding = changes.check_review(groups, [], ["models/gender.onnx"], "main")
    assert finding == (
        "review",
        "pass",
        f"no check judges these changes: {group}: {path}",
        "read all of them; only dvc repro --force shows that results are those of the code",
    )


def test_a_branch_that_changes_the_gate_is_named_with_its_files(branch: Path) -> None:
    for name in ("repository/gate.py", "reporting/charts.py", "reporting/costs.py"):
        append(f"src/facegender/{name}", "# changed\n")
    Path("scripts/validate_model.sh").unlink()
    commit()

    assert found_by("review").found == (
        "no check judges these changes: CI and its commands: scripts/validate_model.sh; code whose changes run no "
        "stage: src/facegender/reporting/costs.py; the gate's own code: src/facegender/repository/gate.py"
    )


def test_the_gates_own_code_is_all_that_it_imports() -> None:
    code = {path.relative_to(ROOT / "src/facegender").as_posix() for path in gate_checks._gate_code()}

    assert {
        *("repository/gate.py", "repository/gate_checks.py", "repository/changes.py", "repository/status.py"),
        *("evaluation/metrics.py", "evaluation/slices.py", "network/onnx_file.py", "data/images.py"),
        *("cli.py", "errors.py", "params.py", "imports.py"),
    } <= code
    assert not {"reporting/charts.py", "network/training.py", "serving/app.py"} & code


@pytest.mark.parametrize("path", ["data/preprocessed/test", "data/baseline.csv"])
def test_results_that_no_check_computes_again_are_named(path: str, branch: Path) -> None:
    write_lock({path: "new"})
    assert found_by("review").found == (f"no check judges these changes: results that no check computes again: {path}")


def test_only_the_changes_of_the_branch_count_when_main_has_moved_on(branch: Path) -> None:
    subprocess.run(["git", "switch", "--quiet", "main"], check=True)
    append("tests/test_a.py", "\ndef test_of_main():\n    assert 4\n")
    write_stages(lambda stages: stages["slices"]["deps"].append("data/more.csv"))
    write_lock(NEW_MODEL)
    commit()
    subprocess.run(["git", "switch", "--quiet", "branch"], check=True)

    assert [found_by(check).verdict for check in ("pipeline", "outs", "review")] == ["pass"] * 3
    assert found_by("review").found == "nothing changes by which a pull request is judged"


def test_a_base_without_the_pipeline_has_nothing_to_compare_with(branch: Path) -> None:
    subprocess.run(["git", "rm", "--quiet", "dvc.yaml", "dvc.lock"], check=True)
    commit()
    Path("dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    write_lock({})

    assert [found_by(check, "HEAD").verdict for check in ("pipeline", "outs", "review")] == ["pass"] * 3


def test_an_unknown_base_is_one_line(branch: Path) -> None:
    for check in ("pipeline", "outs", "review"):
        assert found_by(check, "nowhere")[1:3] == ("fail", "nowhere: unknown Git revision")


def test_stages_are_read_from_a_valid_file_only() -> None:
    assert changes.read_stages("stages: {a: {cmd: b}}", "dvc.yaml") == {"a": {"cmd": "b"}}
    with pytest.raises(FacegenderError, match=r"^main: dvc\.yaml: missing or not valid; run: git restore dvc\.yaml$"):
        changes.read_stages("stages: []", "main: dvc.yaml")
