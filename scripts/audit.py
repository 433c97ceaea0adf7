"""Compare the packages of the lock files with OSV's advisories: which have known vulnerabilities?

Usage: python scripts/audit.py [ADVISORIES.zip]

Without a file, the advisories for PyPI are downloaded. Nothing is sent about this project. Exits with 1 if a
package has a known vulnerability, or if the advisories cannot be read.
"""

import json
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from facegender.errors import FacegenderError, OneLineParser, existing_file, one_line_errors

LOCKS = (Path("requirements.lock"), Path("requirements-ray.lock"), Path("requirements-mutants.lock"))

ADDRESS = "https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip"
"""All of OSV's advisories for PyPI, by GitHub, PyPA and others (https://google.github.io/osv.dev/data)."""


@one_line_errors()
def main(advisories: Path | None = None) -> None:
    """Print the known vulnerabilities of the locked packages.

    Raises:
        FacegenderError: there are some, or the lock files or the advisories cannot be read.
    """
    packages: dict[str, set[Version]] = {}
    for lock in LOCKS:
        for name, versions in pinned(lock).items():
            packages.setdefault(name, set()).update(versions)
    if advisories:
        found = list(vulnerabilities(packages, read_advisories(advisories)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = list(vulnerabilities(packages, read_advisories(download(ADDRESS, Path(folder, "all.zip")))))
    for line in sorted(found):
        print(line)
    if found:
        what = f"{len(found)} of OSV's advisories apply to these {len(packages)} packages"
        raise FacegenderError("audit", what, "raise the versions above, then run: make lock")
    print(f"audit: no known vulnerability in {len(packages)} packages")


def pinned(lock: Path) -> dict[str, set[Version]]:
    """Return the versions of each package in a lock file, by its normalised name.

    There may be several versions, for different versions of Python or systems.

    Raises:
        FacegenderError: a line is not `NAME==VERSION`, perhaps with a marker.
    """
    packages: dict[str, set[Version]] = {}
    lines = lock.read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    for line in lines:
        try:
            requirement = Requirement(line.partition("--hash")[0])
            [specifier] = requirement.specifier
            if specifier.operator != "==":
                raise InvalidVersion
            packages.setdefault(canonicalize_name(requirement.name), set()).add(Version(specifier.version))
        except (InvalidRequirement, InvalidVersion, ValueError) as error:
            raise FacegenderError(lock, f"not a package with its version: {line!r}", "run: make lock") from error
    return packages


def download(address: str, path: Path) -> Path:
    """Download a file.

    Raises:
        FacegenderError: that fails, as without internet.
    """
    try:
        with urllib.request.urlopen(address, timeout=60) as answer, path.open("wb") as file:
            while block := answer.read(1 << 20):
                file.write(block)
    except (OSError, HTTPException) as error:
        what = f"cannot be downloaded ({error}), so nothing was compared"
        remedy = "download it on another machine, then run: make audit ADVISORIES=all.zip"
        raise FacegenderError(address, what, remedy) from error
    return path


def read_advisories(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the advisories in a zip file of JSON files.

    Raises:
        FacegenderError: it is not one.
    """
    count = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".json"):
                    yield json.loads(archive.read(name))
                    count += 1
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise FacegenderError(path, f"not a zip file of advisories ({error})", "download it again") from error
    if not count:
        raise FacegenderError(path, "has no advisories", f"use {ADDRESS}")


def vulnerabilities(packages: Mapping[str, set[Version]], advisories: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each known vulnerability of a version; one in several databases has a line for each.

    Args:
        packages: versions by normalised name.
        advisories: in OSV's format, https://ossf.github.io/osv-schema.
    """
    for advisory in advisories:
        if "withdrawn" in advisory:
            continue
        names = ", ".join([advisory["id"], *advisory.get("aliases", [])])
        text = advisory.get("summary") or " ".join(advisory.get("details", "").split())[:100]
        # An advisory may have several entries for a package.
        found: set[tuple[str, Version]] = set()
        for affected in advisory.get("affected", []):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") != "PyPI":
                continue
            fixed = sorted({event["fixed"] for events in _ranges(affected) for event in events if "fixed" in event})
            for version in sorted(packages.get(name, set())):
                if (name, version) not in found and affects(affected, version):
                    found.add((name, version))
                    yield f"{name} {version}: {names}: {text}; fixed in {', '.join(fixed) or 'no version'}"


def affects(affected: Mapping[str, Any], version: Version) -> bool:
    """Return whether a version is listed or in a range, as OSV's schema defines it under "Evaluation"."""
    if any(_is(version, listed) for listed in affected.get("versions", [])):
        return True
    for events in _ranges(affected):
        inside = False
        for kind, place in sorted(_places(events), key=lambda event: event[1]):
            if kind == "last_affected":
                inside = inside and version <= place
            elif version >= place:
                inside = kind == "introduced"
        if inside:
            return True
    return False


def _is(version: Version, listed: str) -> bool:
    try:
        return Version(listed) == version
    except InvalidVersion:
        return False


def _ranges(affected: Mapping[str, Any]) -> list[list[dict[str, str]]]:
    # Those of type GIT are commits.
    return [one.get("events", []) for one in affected.get("ranges", []) if one.get("type") == "ECOSYSTEM"]


def _places(events: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, Version]]:
    for event in events:
        for kind in ("introduced", "fixed", "last_affected"):
            if kind in event:
                try:
                    yield kind, Version(event[kind])
                except InvalidVersion:
                    # A beginning or end that cannot be compared counts as none.
                    if kind == "introduced":
                        yield kind, Version("0")


if __name__ == "__main__":
    parser = OneLineParser(prog="python scripts/audit.py", description=__doc__)
    parser.add_argument("advisories", metavar="ADVISORIES.zip", type=existing_file, nargs="?")
    main(**vars(parser.parse_args()))
