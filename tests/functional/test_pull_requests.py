"""Pull requests, checked as in CI, in clones of a repository that has a remote.

The pipeline is the real one, except for the network, which is a small one.
"""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.functional.project import change_params, make_project, metrics, repro, run
from tests.paths import ROOT

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")
CHANGES = {
    "synthetic_data.images": 800,
    "partition.train": 400,
    "partition.val": 20,
    "partition.test": 100,
    "preprocess.height": 96,
    "preprocess.width": 80,
    "augment.copies": 0,
    "train.batch_size": 200,
    "evaluate.resamples": 200,
    "gate.floors": {"accuracy": 0.7, "worst_recall": 0.3},
    "gate.ceilings": {"expected_calibration_error": 0.3},
    "gate.margins": {"accuracy": 0.02},
    # The small network is no better than the baseline.
    "gate.baseline": "waived",
}
NEEDED = (
    *("models/gender.onnx", "data/predictions.csv", "data/baseline.csv", "data/preprocessed/test"),
    "data/synthetic/list_attr_celeba.csv",
)
ALWAYS = ("lock", "pipeline", "outs", "limits", "floors", "base", "model", "remote", "review")
"""The checks that pass if nothing is wrong, in a pull request with a base that has a model."""


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the author's folder: the revision `empty` has no model, `main` has one, and everything is pushed."""
    folder = make_author(tmp_path_factory.mktemp("pull_requests"))
    repro(folder)
    publish(folder, "first model")
    return folder


def make_author(home: Path) -> Path:
    """Make the author's folder, and the remote beside it, without a model."""
    folder = make_project(home / "author", CHANGES)
    for name in (".gitignore", "Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    stages = folder / "stages"
    (stages / "evaluate.py").rename(stages / "real_evaluate.py")
    for name in ("eda", "pretrained", "features", "mistakes", "report"):
        shutil.copy(HERE / "stand_in.py", stages / f"{name}.py")
    for name in ("train", "calibrate", "evaluate"):
        shutil.copy(HERE / "small_network.py", stages / f"{name}.py")
    run(folder, "dvc", "remote", "add", "--quiet", "--default", "storage", str(home / "storage"))
    run(folder, "git", "branch", "--move", "main")
    commit(folder, "start")
    run(folder, "git", "tag", "empty")
    return folder


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "--all")
    run(folder, *GIT, "commit", "--quiet", "--message", message)


def publish(folder: Path, message: str) -> None:
    commit(folder, message)
    run(folder, "dvc", "push", "--quiet")


@pytest.fixture
def branch(author: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Yield the author's folder on a new branch from main, and switch back afterwards."""
    run(author, "git", "switch", "--quiet", "--create", re.sub(r"\W", "-", request.node.name), "main")
    yield author
    run(author, "git", "switch", "--quiet", "--force", "main")
    run(author, "dvc", "checkout", "--quiet", "--force")


def clone(author: Path, folder: Path) -> Path:
    """Clone the author's branch, with nothing in DVC's cache."""
    run(author, "git", "clone", "--quiet", str(author), str(folder))
    (folder / ".venv").mkdir()
    (folder / ".venv" / "installed").touch()
    return folder


def review(folder: Path, *checks: str, status: int, base: str = "origin/main") -> dict[str, tuple[str, str, str]]:
    """Run the gate and return, for each check, the verdict, what was found and what to do."""
    printed = run(folder, "facegender", "gate", *checks, "--base", base, status=status)
    rows = re.findall(r"^\| (\w+) \| (pass|fail|waived|skipped) \| (.*) \| (.*) \|$", printed, flags=re.MULTILINE)
    return {check: (verdict, found, remedy) for check, verdict, found, remedy in rows}


def verdicts(table: dict[str, tuple[str, str, str]]) -> dict[str, str]:
    return {check: row[0] for check, row in table.items()}


def test_the_first_pull_request_is_checked_and_commented_on(
    author: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[tuple[str, str, str, str]] = []

    class Forge(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer([{"id": 5, "body": body, "user": {"login": "robot"}} for _, _, _, body in received])

        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/graphql":
                self.answer({"data": {"viewer": {"login": "robot"}}})
                return
            received.append((self.command, self.path, self.headers["Authorization"], content["body"]))
            self.answer({})

        do_PATCH = do_POST

        def answer(self, content: object) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Forge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_REPOSITORY": "owner/name",
        "GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}",
        "GITHUB_GRAPHQL_URL": f"http://127.0.0.1:{server.server_port}/graphql",
        "GITHUB_SERVER_URL": "https://forge.example",
        "GITHUB_TOKEN": "secret",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "BASE": "empty",
    }.items():
        monkeypatch.setenv(name, value)
    folder = clone(author, tmp_path / "clone")

    printed = run(folder, "make", "validate-model")
    run(folder, "python", "scripts/post_comment.py", "pull_request/page.md")

    server.shutdown()
    assert "Running stage" not in printed
    page = (folder / "pull_request" / "page.md").read_text(encoding="utf-8")
    # The second comment replaces the first.
    assert received == [
        (method, f"/repos/owner/name/issues/{path}", "Bearer secret", f"<!-- facegender validate-model -->\n{page}")
        for method, path in (("POST", "7/comments"), ("PATCH", "comments/5"))
    ]
    assert page in printed
    first, table, verdict = page.split("\n\n")[:3]
    assert first == "### The first model: `empty` has none to compare with"
    assert table.startswith("| Metric | this | 95% interval |\n| --- | ---: | ---: |\n| accuracy | ")
    assert " its baseline: " in verdict
    passed = ", ".join(check for check in ALWAYS if check != "base")
    assert (
        "### The gate passes\n\n- **review**: no check judges these changes: results that no check computes again: "
        "data/preprocessed/test, data/baseline.csv. **What to do:** read all of them;"
    ) in page
    assert f"\nPass: {passed}; waived: baseline; skipped: base." in page
    assert "| images of test | none | 100 |" in page
    assert f"/owner/name/blob/{run(folder, 'git', 'rev-parse', 'HEAD').strip()}/metrics/plots/slices.png" in page
    assert f"| {metrics(author, 'evaluate')['accuracy']}" in page.partition("All metrics of the pipeline")[2]
    assert (folder / "pull_request" / "plots" / "index.html").is_file()
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == page
    # Pictures may show faces.
    assert not list((folder / "pull_request").rglob("*.png"))
    # Only what is needed was pulled.
    assert not (folder / "data" / "preprocessed" / "train").exists()


@pytest.mark.long
def test_a_better_model_passes_and_the_table_shows_what_changed(branch: Path, tmp_path: Path) -> None:
    change_params(branch, {"train.batch_size": 400})
    repro(branch)
    publish(branch, "more images")
    folder = clone(branch, tmp_path / "clone")
    run(folder, "dvc", "pull", "--quiet", *NEEDED)

    table = review(folder, status=0)

    assert set(verdicts(table).values()) == {"pass", "waived"}
    assert "On the same 100 images" in table["base"][1]


@pytest.mark.long
def test_a_worse_model_fails_at_floors_and_base_even_if_it_lowers_the_limits(branch: Path, tmp_path: Path) -> None:
    lowered = {"gate.floors": {"accuracy": 0.3}, "gate.margins": {"accuracy": 0.9}, "gate.tolerance": 0.5}
    change_params(branch, {"train.batch_size": 6} | lowered)
    repro(branch)
    publish(branch, "few images")
    folder = clone(branch, tmp_path / "clone")
    run(folder, "dvc", "pull", "--quiet", *NEEDED)

    table = review(folder, status=1)

    assert verdicts(table) == dict.fromkeys(ALWAYS, "pass") | {"floors": "fail", "baseline": "waived", "base": "fail"}
    assert table["limits"][1] == (
        "gate.floors.accuracy: 0.7 at origin/main, 0.3 here, "
        "gate.floors.worst_recall: 0.3 at origin/main, none here, "
        "gate.margins.accuracy: 0.02 at origin/main, 0.9 here, "
        "gate.tolerance: 0.02 at origin/main, 0.5 here; those of origin/main apply"
    )
    assert "is below 0.7" in table["floors"][1]
    assert "worse by more than 0.02" in table["base"][1]
    assert all("in a pull request of their own" in table[check][2] for check in ("limits", "floors", "base"))

    run(folder, "scripts/validate_model.sh", "origin/main", status=1)
    page = (folder / "pull_request" / "page.md").read_text(encoding="utf-8")
    assert page.startswith("### The new model is less accurate: ")
    assert "| train.batch_size | 200 | 6 |" in page
    assert "| gate.tolerance | 0.02 | 0.5 |" in page
    assert "images of" not in page
    assert (
        "### The gate fails at floors, base\n\n- **limits**: gate.floors.accuracy: 0.7 at origin/main, 0.3 here" in page
    )
    assert page.count("**What to do:**") == 3

    # The results of another branch.
    folder = clone(branch, tmp_path / "second")
    run(folder, "git", "checkout", "--quiet", "origin/main", "--", "dvc.lock", "metrics")
    found = review(folder, "lock", status=1)["lock"]
    assert found[:2] == ("fail", "dvc.lock is stale at train (params.yaml: train), report (params.yaml: train)")


def test_a_waiver_in_the_pull_request_itself_is_shown_and_does_not_apply(branch: Path) -> None:
    change_params(branch, {"gate.baseline": "required"})
    commit(branch, "require a model that is better than its baseline")
    change_params(branch, {"gate.baseline": "waived"})

    table = review(branch, "baseline", status=1, base="HEAD")

    assert verdicts(table) == {"limits": "pass", "baseline": "fail"}
    assert table["limits"][1] == "gate.baseline: required at HEAD, waived here; those of HEAD apply"
    assert all("in a pull request of their own" in row[2] for row in table.values())


@pytest.mark.long
def test_limits_are_lowered_in_a_pull_request_of_their_own(branch: Path, tmp_path: Path) -> None:
    change_params(branch, {"gate.floors": {"accuracy": 0.3}, "gate.margins": {"accuracy": 0.9}})
    repro(branch)
    publish(branch, "lower limits")
    folder = clone(branch, tmp_path / "limits")
    run(folder, "dvc", "pull", "--quiet", *NEEDED)
    assert set(verdicts(review(folder, status=0)).values()) == {"pass", "waived"}

    change_params(branch, {"train.batch_size": 6})
    repro(branch)
    publish(branch, "few images")
    folder = clone(branch, tmp_path / "model")
    run(folder, "dvc", "pull", "--quiet", *NEEDED)

    table = review(folder, "floors", "base", status=0, base="HEAD~1")

    assert table["limits"][1] == "the same as at HEAD~1"
    assert verdicts(table) == dict.fromkeys(("limits", "floors", "base"), "pass")


def test_a_misspelt_limit_fails_before_it_applies_to_others(branch: Path, tmp_path: Path) -> None:
    change_params(branch, {"gate.floors": {"acuracy": 0.7}})
    repro(branch)
    commit(branch, "misspelt")

    table = review(clone(branch, tmp_path / "clone"), "floors", status=1)

    assert verdicts(table) == {"limits": "fail", "floors": "pass"}
    assert "gate.floors.acuracy: no such metric in" in table["limits"][1]


def test_a_stale_lock_file_fails(branch: Path, tmp_path: Path) -> None:
    change_params(branch, {"train.dropout": 0.4})
    commit(branch, "another dropout, and no repro")

    table = review(clone(branch, tmp_path / "clone"), "lock", "floors", status=1)

    assert verdicts(table) == {"lock": "fail", "limits": "pass", "floors": "pass"}
    assert table["lock"][1:] == (
        "dvc.lock is stale at train (params.yaml: train), report (params.yaml: train)",
        "run: dvc repro, then commit dvc.lock and metrics/",
    )


@pytest.mark.long
def test_a_metric_edited_by_hand_fails_even_after_dvc_commit(branch: Path, tmp_path: Path) -> None:
    path = branch / "metrics" / "evaluate.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(written | {"accuracy": 0.99}), encoding="utf-8")
    commit(branch, "better")

    table = review(clone(branch, tmp_path / "clone"), "lock", "floors", status=1)

    assert table["lock"][:2] == (
        "fail",
        "dvc.lock is stale at evaluate (metrics/evaluate.json), report (metrics/evaluate.json)",
    )

    slices = branch / "metrics" / "slices.json"
    slices.write_text(json.dumps(metrics(branch, "slices") | {"worst_recall": 0.99}), encoding="utf-8")
    run(branch, "dvc", "commit", "--quiet", "--force")
    publish(branch, "even better")
    folder = clone(branch, tmp_path / "second")
    run(folder, "dvc", "pull", "--quiet", *NEEDED)

    table = review(folder, status=1)

    assert verdicts(table) == dict.fromkeys(ALWAYS, "pass") | {"baseline": "waived", "outs": "fail", "model": "fail"}
    assert f"accuracy is {written['accuracy']}, not 0.99" in table["model"][1]
    assert re.search(
        r"metrics/slices\.json does not follow from .*: worst_recall is 0\.\d+, not 0\.99", table["model"][1]
    )
    assert table["outs"][1].endswith(": evaluate (metrics/evaluate.json), slices (metrics/slices.json)")


def test_data_that_was_not_pushed_or_not_pulled_fails(branch: Path, tmp_path: Path) -> None:
    change_params(branch, {"mistakes.images": 3})
    repro(branch)
    commit(branch, "not pushed")
    folder = clone(branch, tmp_path / "clone")

    table = review(folder, "lock", "model", "remote", status=1)

    assert verdicts(table) == {"lock": "pass", "limits": "pass", "model": "fail", "remote": "fail"}
    assert table["model"][1:] == (
        "models/gender.onnx: no such file",
        "run: dvc pull models/gender.onnx",
    )
    assert table["remote"][1:] == ("not in the remote: data/mistakes/, metrics/report.html", "run: dvc push")


def test_a_model_that_was_replaced_in_the_remote_fails(author: Path, tmp_path: Path) -> None:
    folder = clone(author, tmp_path / "clone")
    shutil.copytree(author.parent / "storage", tmp_path / "storage")
    run(folder, "dvc", "remote", "modify", "--local", "storage", "url", str(tmp_path / "storage"))
    found = re.search(r"path: models/gender.onnx\n\s+hash: md5\n\s+md5: (\w+)", (folder / "dvc.lock").read_text())
    assert found
    stored = tmp_path / "storage" / "files" / "md5" / found[1][:2] / found[1][2:]
    stored.unlink()
    stored.write_bytes(b"another model")
    # DVC trusts read-only files and everything that an object store sends.
    stored.chmod(0o444)
    run(folder, "dvc", "pull", "--quiet", *NEEDED)

    table = review(folder, "model", status=1)

    assert f"but dvc.lock has {found[1]}, so it is a different file" in table["model"][1]


def test_a_model_that_was_swapped_under_its_metrics_fails(branch: Path, tmp_path: Path) -> None:
    # The metrics stay, and `dvc commit` records the other model.
    run(branch, "dvc", "unprotect", "--quiet", "models/gender.onnx")
    run(branch, "python", "-c", "from stages.train import weaken; weaken('models/gender.onnx')")
    run(branch, "dvc", "commit", "--quiet", "--force")
    publish(branch, "same metrics")
    folder = clone(branch, tmp_path / "clone")
    run(folder, "dvc", "pull", "--quiet", *NEEDED)

    table = review(folder, status=1)

    assert verdicts(table) == dict.fromkeys(ALWAYS, "pass") | {"baseline": "waived", "outs": "fail", "model": "fail"}
    assert "images have a different P(Male) here" in table["model"][1]
    assert "trust neither" in table["model"][2]


def test_a_missing_remote_or_base_fails_and_an_unwanted_remote_is_skipped(author: Path, tmp_path: Path) -> None:
    folder = clone(author, tmp_path / "clone")
    run(folder, "dvc", "remote", "remove", "storage")

    assert review(folder, "remote", status=1)["remote"][1].startswith(".dvc/config: no remote is set")
    printed = run(folder, "facegender", "gate", "remote", "base", "--no-remote", "--base", "nowhere", status=1)
    assert "| remote | skipped | --no-remote was given" in printed
    assert (
        "| base | fail | nowhere: unknown Git revision | look it up with git log or git tag, or run: git fetch --tags |"
        in printed
    )
    assert "Not checked: lock, pipeline, outs, floors, baseline, model, review." in printed
    assert printed.rstrip().endswith("error: gate: failed at limits, base; the table says what to do")
