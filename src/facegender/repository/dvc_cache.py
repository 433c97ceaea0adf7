"""The objects in DVC's cache, each named after its MD5 sum. DVC trusts them: it computes no sum when it links one."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from facegender.errors import FacegenderError
from facegender.files import md5_of
from facegender.repository.commands import open_project
from facegender.repository.lock import OUTS, read_lock

_NAME = re.compile(r"[0-9a-f]{30}(\.dir)?")
"""An object's name without the first two letters, which are its folder's. DVC's temporary files have other names."""

_FOLDER = ".dir"
"""How the MD5 sum of a folder ends; its object lists the folder's files as JSON."""


class Verified(NamedTuple):
    """How many objects there are, and the MD5 sums that belong to the damaged ones."""

    objects: int
    damaged: list[str]


def verify_objects() -> Verified:
    """Compute the MD5 sums of all objects in this project's DVC cache, as DVC names them: `files/md5/AB/CD…`.

    Raises:
        FacegenderError: this is not a DVC project.
    """
    objects = {path.parent.name + path.name: path for path in _objects(_cache())}
    return Verified(
        len(objects), sorted(md5 for md5, path in objects.items() if md5_of(path) != md5.removesuffix(_FOLDER))
    )


class Deleted(NamedTuple):
    """What `delete_damaged` deleted and kept.

    Attributes:
        outs: paths in this folder that consisted of damaged objects, which are deleted too.
        kept: paths of damaged objects that no stage is known to make again, such as raw data.
    """

    outs: list[str]
    kept: list[str]


def delete_damaged(damaged: list[str]) -> Deleted:
    """Delete damaged objects of the outs in dvc.lock, and these outs, so that DVC makes both again.

    Args:
        damaged: MD5 sums, as `verify_objects` returns them.
    """
    cache = _cache()
    consist_of = {path: {md5, *_members(cache, md5)} for path, md5 in read_lock([OUTS]).items()}
    outs = [path for path, objects in consist_of.items() if not objects.isdisjoint(damaged)]
    for out in outs:
        if Path(out).is_dir():
            shutil.rmtree(out)
        else:
            Path(out).unlink(missing_ok=True)
    made_again = set().union(*consist_of.values())
    for md5 in made_again.intersection(damaged):
        _object(cache, md5).unlink()
    return Deleted(outs, [str(_object(cache, md5)) for md5 in damaged if md5 not in made_again])


def _cache() -> Path:
    with open_project() as repository:
        return Path(repository.cache.local.path)


def _objects(cache: Path) -> Iterator[Path]:
    return (path for path in cache.glob("[0-9a-f][0-9a-f]/*") if _NAME.fullmatch(path.name))


def _object(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]


def _members(cache: Path, md5: str) -> list[str]:
    """Return the MD5 sums of a folder's files; none for a file, or if the list is missing or damaged."""
    if not md5.endswith(_FOLDER):
        return []
    try:
        return [entry["md5"] for entry in json.loads(_object(cache, md5).read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def damage_error(verified: Verified, deleted: Deleted) -> FacegenderError:
    """Return the error that says what was damaged, deleted and kept."""
    what = f"{len(verified.damaged)} of {verified.objects} objects are damaged"
    remedies = ["run dvc repro, or dvc pull, for what is deleted"] * bool(deleted.outs)
    remedies += ["replace what is kept from a copy, or delete it"] * bool(deleted.kept)
    details = [*(f"deleted: {out}" for out in deleted.outs), *(f"kept: {path}" for path in deleted.kept)]
    return FacegenderError("DVC's cache", what, "; ".join(remedies), details)
