"""The model of a release or of any revision, fetched through DVC from its cache or remote."""

import errno
import logging.config
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from platformdirs import user_cache_path

from facegender.errors import FacegenderError
from facegender.files import md5_of
from facegender.repository.commands import check_not_shallow, check_user, git

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem

ARTIFACT = "gender"
"""The model's name under `artifacts:` in dvc.yaml."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
KEPT = 8
"""The most models in the user's cache; the least recently used one is deleted first."""


def fetch_model(revision: str, repo: str = ".") -> Path:
    """Fetch a revision's model, and its description if it has one, into the user's cache, unless they are there.

    Args:
        revision: `gender@v1.0.0` or `gender@latest` for a version that a GTO tag registers, `gender#prod` for the one
            that is in a stage now, or any Git revision.
        repo: folder or URL of the repository.

    Returns:
        A file in the user's cache with the MD5 sum that the revision's dvc.lock records, and beside it the description,
        NAME.json (`facegender.network.description`). Do not change them.

    Raises:
        FacegenderError: there is no such revision, it has no such model, or the model cannot be fetched or is damaged.
    """
    if not revision:
        raise FacegenderError("revision", "must not be empty", "use one such as gender@v1.0.0 or a Git revision")
    check_user()
    if os.path.isdir(repo):
        git("-C", repo, "rev-parse", "--git-dir")  # It says if Git refuses the repository; DVC ends in a traceback.
    # These take a second to load.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    name, commit = _resolve(revision, repo)
    try:
        files = DVCFileSystem(repo, rev=commit)
        path = yaml.safe_load(files.read_text("dvc.yaml", encoding="utf-8"))["artifacts"][name]["path"]
        md5: str = files.info(path)["md5"]
        description = str(Path(path).with_suffix(".json"))
        description_md5 = files.info(description)["md5"] if files.exists(description) else None
    except SCMError as error:
        if os.path.isdir(repo):
            check_not_shallow(revision, repo)
        raise FacegenderError(
            revision, _line(error), "look it up with git log or git tag, or run: git fetch --tags"
        ) from error
    except (DvcException, OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise FacegenderError(
            revision,
            f"its dvc.yaml and dvc.lock have no model {name} under artifacts ({_line(error)})",
            "choose a revision of this pipeline whose dvc.lock has the model",
        ) from error

    folder = user_cache_path("facegender") / "models"
    model = folder / f"{md5}{Path(path).suffix}"
    _fetch(files, path, model, md5, revision)
    if description_md5:
        _fetch(files, description, model.with_suffix(".json"), description_md5, revision)
    os.utime(model)
    models = [file for file in folder.glob("*.*") if file.suffix != ".json"]
    for other in sorted(models, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        other.with_suffix(".json").unlink(missing_ok=True)
        other.unlink(missing_ok=True)
    return model


def _fetch(files: "DVCFileSystem", path: str, target: Path, md5: str, revision: str) -> None:
    """Fetch a file of a revision, unless the target already has its MD5 sum."""
    if target.exists() and md5_of(target) == md5:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        fetched = Path(temporary, target.name)
        try:
            files.get_file(path, str(fetched))
        # A remote's library raises errors of its own.
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                what = f"a model cannot be written there ({os.strerror(error.errno)})"
                raise FacegenderError(
                    target.parent, what, "free space, or set XDG_CACHE_HOME to another folder"
                ) from error
            raise FacegenderError(
                revision,
                f"its {path} is neither in DVC's cache here nor in a remote ({_line(error)})",
                "run dvc push where it was made, or check the revision out and run: dvc repro",
            ) from error
        if md5_of(fetched) != md5:
            raise FacegenderError(
                revision,
                f"its {path} in DVC's cache or remote is damaged: its MD5 sum is not {md5}, as in dvc.lock",
                "replace it, as docs/remotes.md explains",
            )
        os.replace(fetched, target)


def _resolve(revision: str, repo: str) -> tuple[str, str]:
    """Return the artifact's name and a Git revision."""
    with _logging_unchanged():
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
        raise FacegenderError(revision, _line(error), "look it up with gto show, or run: git fetch --tags") from error
    if not versions:
        raise FacegenderError(
            revision,
            "no such version is registered, or it was withdrawn",
            "look it up with gto show, or run: git fetch --tags",
        )
    return shortcut.name, versions[0]["commit_hexsha"]


@contextmanager
def _logging_unchanged() -> Iterator[None]:
    """Ignore `logging.config.dictConfig` inside the block.

    GTO configures logging when it is imported, and Python then closes all existing handlers. The handler of absl, which
    TensorFlow loads, closes the stream that was standard error when absl was imported: in a notebook, the notebook's.
    """
    configure = logging.config.dictConfig
    logging.config.dictConfig = lambda config: None
    try:
        yield
    finally:
        logging.config.dictConfig = configure


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
