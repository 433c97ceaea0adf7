"""Wrong or missing arguments of a script are one line that says what, where and what to do, and exit status 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.fit_copula import main as fit_copula
from tests.paths import ROOT

FILE = str(ROOT / "README.md")
USES = {
    "audit.py": "python scripts/audit.py [-h] [ADVISORIES.zip]",
    "draw_examples.py": "python -m scripts.draw_examples [-h]",
    "fit_copula.py": "python scripts/fit_copula.py [-h] RATES.csv CORRELATION.csv OUTPUT.csv",
    "measure_batch_norm.py": "python scripts/measure_batch_norm.py [-h]",
    "post_comment.py": "python scripts/post_comment.py [-h] PAGE.md",
    "pretrain.py": "python scripts/pretrain.py",
    "validate_model.sh": "scripts/validate_model.sh BASE",
    "write_page.py": "python scripts/write_page.py [-h] BASE GATE.json [NOTE]",
}
WRONG = [
    ("audit.py", ["missing.zip"], "argument ADVISORIES.zip: no such file: missing.zip"),
    ("audit.py", [FILE, "more"], "unrecognized arguments: more"),
    ("draw_examples.py", ["more"], "unrecognized arguments: more"),
    ("fit_copula.py", [], "the following arguments are required: RATES.csv, CORRELATION.csv, OUTPUT.csv"),
    ("fit_copula.py", [FILE, "missing.csv", "out.csv"], "argument CORRELATION.csv: no such file: missing.csv"),
    ("fit_copula.py", [FILE, FILE, "out.csv", "more"], "unrecognized arguments: more"),
    ("post_comment.py", [], "the following arguments are required: PAGE.md"),
    ("post_comment.py", ["missing.md"], "argument PAGE.md: no such file: missing.md"),
    ("post_comment.py", [str(ROOT)], f"argument PAGE.md: no such file: {ROOT}"),
    ("post_comment.py", [FILE, "more"], "unrecognized arguments: more"),
    ("write_page.py", [], "the following arguments are required: BASE, GATE.json"),
    ("write_page.py", ["main"], "the following arguments are required: GATE.json"),
    ("write_page.py", ["main", "missing.json"], "argument GATE.json: no such file: missing.json"),
    ("write_page.py", ["main", FILE, "note", "more"], "unrecognized arguments: more"),
    ("write_page.py", ["main", FILE, "--more"], "unrecognized arguments: --more"),
    ("validate_model.sh", [], "needs one argument, the revision to compare with"),
    ("validate_model.sh", [""], "needs one argument, the revision to compare with"),
    ("validate_model.sh", ["main", "more"], "needs one argument, the revision to compare with"),
]
WRONG_AND_SLOW = [
    ("measure_batch_norm.py", ["more"], "unrecognized arguments: more"),
    ("pretrain.py", [], "the following arguments are required: step"),
    ("pretrain.py", ["draw", "new", "--images", "1000"], "must be a number above 1,000, those held out, not 1000"),
    ("pretrain.py", ["train", "missing", "a.weights.h5"], "no list_attr_celeba.csv in missing; draw the faces first"),
]


def check(script: str, arguments: list[str], what: str, folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    program = [sys.executable] if script.endswith(".py") else ["bash"]

    done = subprocess.run(
        [*program, str(ROOT / "scripts" / script), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    where = f"scripts.{Path(script).stem}" if script == "draw_examples.py" else f"scripts/{script}"
    assert done.stderr.startswith("error: ")
    assert where in done.stderr.partition(": ")[2].partition(": ")[0]
    assert what in done.stderr
    assert f"; use: {USES[script]}" in done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("script", "arguments", "what"), WRONG)
def test_wrong_arguments_are_one_line(script: str, arguments: list[str], what: str, tmp_path: Path) -> None:
    check(script, arguments, what, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "what"),
    [*(pytest.param(*case, marks=pytest.mark.long) for case in WRONG_AND_SLOW[:-1]), WRONG_AND_SLOW[-1]],
)
def test_wrong_arguments_are_one_line_in_spite_of_tensorflow(
    script: str, arguments: list[str], what: str, tmp_path: Path
) -> None:
    check(script, arguments, what, tmp_path)


def test_every_script_is_tested() -> None:
    scripts = {path.name for path in (ROOT / "scripts").iterdir() if path.is_file()} - {"__init__.py"}

    assert {script for script, _, _ in WRONG + WRONG_AND_SLOW} == USES.keys() == scripts


@pytest.mark.parametrize("content", ["", "attribute,all_rate\nMale,0.4\n", "a,b\n1,2\n", '"', "\0"])
def test_tables_of_another_form_are_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(SystemExit, match=r"^error: .*rates\.csv: not a CSV file of the 40 attributes \(") as ended:
        fit_copula(path, path, tmp_path / "out.csv")
    assert "\n" not in str(ended.value.code)
