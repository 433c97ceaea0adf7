"""Models by release tag, stage or Git revision, in a separate repository with Git, DVC and GTO."""

import shutil
from pathlib import Path

import pytest
import yaml

from facegender.cli import predict_command
from facegender.errors import FacegenderError
from facegender.repository.registry import KEPT, fetch_model
from tests.functional.project import GIT, commit_all, run
from tests.paths import ROOT

pytestmark = pytest.mark.slow

MODEL = Path("models/gender.onnx")
DESCRIPTION = Path("models/gender.json")


@pytest.fixture(autouse=True)
def user_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return tmp_path / "user"


def tag(folder: Path, name: str, revision: str, second: int) -> None:
    """Set an annotated tag as `gto` does, each at a different second: GTO sorts tags by time, in seconds."""
    date = f"GIT_COMMITTER_DATE=2026-01-01T00:00:{second:02}Z"
    run(folder, "env", date, *GIT, "tag", "--annotate", "-m", name, name, revision)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a repository of two released models, the older one in production, and its DVC remote."""
    folder = tmp_path_factory.mktemp("released")
    repository = folder / "repository"
    (repository / MODEL.parent).mkdir(parents=True)
    run(repository, "git", "init", "--quiet", "--initial-branch", "main")
    run(repository, "dvc", "init", "--quiet")
    (repository / ".dvc" / "config").write_text(
        "[core]\n    remote = store\n['remote \"store\"']\n    url = ../../store\n"
    )
    artifacts = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]
    assert artifacts["gender"]["path"] == str(MODEL)
    (repository / "dvc.yaml").write_text(yaml.safe_dump({"artifacts": artifacts}), encoding="utf-8")
    for second, version in enumerate(("v1.0.0", "v2.0.0")):
        (repository / MODEL).write_text(f"model {version}")
        run(repository, "dvc", "add", "--quiet", str(MODEL))
        # The first release is of a version that did not describe its models.
        if version != "v1.0.0":
            (repository / DESCRIPTION).write_text(f"description {version}")
            run(repository, "dvc", "add", "--quiet", str(DESCRIPTION))
        run(repository, "dvc", "push", "--quiet")
        commit_all(repository, version)
        tag(repository, f"gender@{version}", "HEAD", second)
    tag(repository, "gender#prod#1", "HEAD~1", 2)
    return folder


@pytest.fixture
def repository(released: Path, tmp_path: Path) -> Path:
    """Return a copy of the repository, with a copy of the remote beside it."""
    shutil.copytree(released, tmp_path, dirs_exist_ok=True)
    return tmp_path / "repository"


def test_a_model_is_fetched_by_version_stage_and_revision(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(repository), str(clone))
    assert run(clone, "git", "tag").split() == ["gender#prod#1", "gender@v1.0.0", "gender@v2.0.0"]

    for revision, version in {
        "gender@v1.0.0": "v1.0.0",
        "gender@v2.0.0": "v2.0.0",
        "gender@latest": "v2.0.0",
        "gender#prod": "v1.0.0",
        "gender#prod#1": "v1.0.0",
        "main~1": "v1.0.0",
        "HEAD": "v2.0.0",
    }.items():
        model = fetch_model(revision, str(clone))
        assert model.suffix == ".onnx"
        assert model.read_text() == f"model {version}", revision

    # Neither the clone's folder nor its DVC has changed, and a model in the user's cache needs no remote.
    assert not (clone / MODEL).exists()
    assert run(clone, "git", "status", "--short") == ""
    shutil.rmtree(tmp_path / "store")
    assert fetch_model("gender#prod", str(clone)).read_text() == "model v1.0.0"

    # A cached file that was changed is fetched again; where that is impossible, it is an error.
    fetch_model("gender#prod", str(clone)).write_text("changed")
    with pytest.raises(FacegenderError, match=r"^gender#prod: its models/gender\.onnx is neither in .*; run dvc push"):
        fetch_model("gender#prod", str(clone))
    assert fetch_model("gender#prod", str(repository)).read_text() == "model v1.0.0"


@pytest.mark.parametrize("revision", ["HEAD:dvc.yaml", "HEAD^{tree}", "nowhere", ""])
def test_a_revision_that_is_not_a_commit_is_a_one_line_error(repository: Path, revision: str) -> None:
    with pytest.raises(FacegenderError) as caught:
        fetch_model(revision, str(repository))
    assert "\n" not in str(caught.value)


def test_standard_error_of_a_notebook_stays_open_if_absl_was_imported_before(repository: Path) -> None:
    program = (
        "import io, sys\n"
        "sys.stderr = of_a_notebook = io.StringIO()\n"
        "import absl.logging\n"
        "sys.stderr = sys.__stderr__\n"
        "from facegender.repository.registry import fetch_model\n"
        "print(fetch_model('gender@v1.0.0').suffix, of_a_notebook.closed)\n"
    )
    assert run(repository, "python", "-c", program).splitlines()[-1] == ".onnx False"


def test_the_description_is_fetched_with_the_model(repository: Path) -> None:
    described = fetch_model("HEAD", str(repository)).with_suffix(".json")
    assert described.read_text() == "description v2.0.0"
    assert not fetch_model("HEAD~1", str(repository)).with_suffix(".json").exists()

    # The same model with another baseline has another description.
    (repository / DESCRIPTION).unlink()
    (repository / DESCRIPTION).write_text("description v2.0.1")
    run(repository, "dvc", "add", "--quiet", str(DESCRIPTION))
    commit_all(repository, "another baseline")
    assert fetch_model("HEAD", str(repository)).with_suffix(".json") == described
    assert described.read_text() == "description v2.0.1"

    for other in range(KEPT):
        described.with_name(f"{other}.onnx").write_text("another model")
    fetch_model("HEAD~2", str(repository))
    assert not described.exists()


def test_a_withdrawn_unknown_or_damaged_model_is_a_one_line_error(
    repository: Path, user_cache: Path, tmp_path: Path
) -> None:
    tag(repository, "gender#prod#2", "HEAD", 3)
    assert fetch_model("gender#prod", str(repository)).read_text() == "model v2.0.0"
    tag(repository, "gender#prod!#3", "HEAD", 4)
    tag(repository, "gender@v1.0.0!", "HEAD~1", 5)
    damaged = tmp_path / "damaged"
    run(tmp_path, "git", "clone", "--quiet", str(repository), str(damaged))
    for stored in (tmp_path / "store").rglob("files/md5/*/*"):
        stored.chmod(0o644)
        stored.write_text("damaged")
        # DVC trusts read-only files.
        stored.chmod(0o444)
    shutil.rmtree(user_cache)

    for revision, repo, expected in (
        ("gender#prod", repository, "no such version is registered, or it was withdrawn"),
        ("gender@v1.0.0", repository, "no such version is registered, or it was withdrawn"),
        ("gender@v9.0.0", repository, "no such version is registered, or it was withdrawn"),
        ("other@v1.0.0", repository, "Cannot find artifact 'other'"),
        ("nowhere", repository, "unknown Git revision 'nowhere'"),
        ("HEAD", tmp_path, "is not a git repository"),
        ("gender@v2.0.0", damaged, r"models/gender\.onnx in DVC's cache or remote is damaged"),
    ):
        with pytest.raises(FacegenderError, match=expected) as raised:
            fetch_model(revision, str(repo))
        assert str(raised.value).startswith(f"{revision}: ")
        assert "\n" not in str(raised.value)
    assert not list(user_cache.rglob("*.onnx"))

    (repository / "models" / "gender.onnx.dvc").unlink()
    commit_all(repository, "no model")
    with pytest.raises(FacegenderError, match="have no model gender under artifacts"):
        fetch_model("HEAD", str(repository))


def test_the_cache_keeps_the_most_recently_used_models(repository: Path) -> None:
    first = fetch_model("HEAD", str(repository))
    others = [first.with_name(f"{number}.onnx") for number in range(KEPT)]
    for other in others:
        other.write_text("another model")

    assert fetch_model("HEAD", str(repository)) == first
    assert len(list(first.parent.glob("*.onnx"))) == KEPT

    fetch_model("HEAD~1", str(repository))
    assert first.exists()
    assert len(list(first.parent.glob("*.onnx"))) == KEPT


def test_predict_uses_the_model_of_a_revision(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path) -> None:
        raise FacegenderError("loaded", path.read_text(), "fix it")

    monkeypatch.setattr("facegender.serving.classifier.load_classifier", load)
    monkeypatch.chdir(repository)
    (repository / "face.jpg").touch()

    with pytest.raises(FacegenderError, match=r"^loaded: model v1\.0\.0;"):
        predict_command(["face.jpg"], rev="gender#prod")
    with pytest.raises(FacegenderError, match="--model and --rev: cannot be used together"):
        predict_command(["face.jpg"], rev="main", model=Path("other.onnx"))
