"""The model of a release or of any revision, fetched through DVC from its cache or remote."""

import os
import tempfile
from pathlib import Path
from unittest import mock

import yaml
from platformdirs import user_cache_path

from facegender.errors import FacegenderError
from facegender.repository.project import md5_of

ARTIFACT = "gender"
"""The model's name under `artifacts:` in dvc.yaml."""
KEPT = 8
"""Models in the user's cache at most; what was used longest ago goes first."""


def fetch_model(revision: str, repo: str = ".") -> Path:
    """Give the file of a revision's model, from the user's cache where it is known.

    Args:
        revision: `gender@v1.0.0` or `gender@latest` for a version that is registered by a tag of GTO, `gender#prod` for
            the one that is in a stage now, or any Git revision.
        repo: folder or URL of the repository.

    Returns:
        A `.keras` file in the user's cache, with the very bytes that the revision's dvc.lock names. Not to be changed.

    Raises:
        FacegenderError: there is no such revision, it has no such model, or the model can be had nowhere or is damaged.
    """
    if not revision:
        raise FacegenderError("no revision; give one, as gender@v1.0.0 or a Git revision")
    # They take a second to load.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    name, commit = _resolve(revision, repo)
    try:
        files = DVCFileSystem(repo, rev=commit)
        path = yaml.safe_load(files.read_text("dvc.yaml", encoding="utf-8"))["artifacts"][name]["path"]
        md5: str = files.info(path)["md5"]
    except SCMError as error:
        raise FacegenderError(f"{revision}: {_line(error)}; see: git log, git tag, git fetch --tags") from error
    except (DvcException, OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise FacegenderError(
            f"{revision}: its dvc.yaml and dvc.lock name no model {name} under artifacts ({_line(error)}); "
            "take a revision of this pipeline in which it was run"
        ) from error

    folder = user_cache_path("facegender") / "models"
    model = folder / f"{md5}.keras"
    if not model.exists() or md5_of(model) != md5:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            fetched = Path(temporary, model.name)
            try:
                files.get_file(path, str(fetched))
            # A remote's library raises errors of its own.
            except Exception as error:
                raise FacegenderError(
                    f"{revision}: its {path} is neither in DVC's cache here nor to be had from a remote; where it was "
                    f"made, run: dvc push; or check it out and run: dvc repro ({_line(error)})"
                ) from error
            if md5_of(fetched) != md5:
                raise FacegenderError(
                    f"{revision}: its {path} in DVC's cache or remote is damaged: its MD5 is not dvc.lock's {md5}; "
                    "docs/remotes.md says how to replace it"
                )
            os.replace(fetched, model)
    os.utime(model)
    for other in sorted(folder.glob("*.keras"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        other.unlink(missing_ok=True)
    return model


def _resolve(revision: str, repo: str) -> tuple[str, str]:
    """Give the artifact's name and a Git revision."""
    # GTO configures logging when it is imported, and Python closes the handlers that are there before: absl's, which
    # TensorFlow brings, closes what was standard error when it was made, as in a notebook.
    with mock.patch("logging.config.dictConfig"):
        import gto.api
    from gto.constants import parse_shortcut
    from gto.exceptions import GTOException
    from scmrepo.exceptions import SCMError

    shortcut = parse_shortcut(revision)
    if not shortcut.shortcut:
        return ARTIFACT, revision
    try:
        # DVC's own look-up would find versions and stages that were withdrawn.
        versions = gto.api.show(repo, revision)
    except (GTOException, SCMError) as error:
        raise FacegenderError(f"{revision}: {_line(error)}; see: gto show, git fetch --tags") from error
    if not versions:
        raise FacegenderError(
            f"{revision}: no version is registered as this, or no longer; see: gto show, git fetch --tags"
        )
    return shortcut.name, versions[0]["commit_hexsha"]


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
