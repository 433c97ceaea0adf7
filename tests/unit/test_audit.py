"""`make audit`: known vulnerabilities of what the lock files pin, from a file of advisories."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from facegender.errors import FacegenderError
from scripts import audit
from tests.paths import ROOT

PACKAGES = {"aiohttp": {Version("3.14.5"), Version("3.9.1")}, "ruamel-yaml": {Version("0.19.1")}}


def advisory(**affected: Any) -> dict[str, Any]:
    package = {"ecosystem": "PyPI", "name": "aiohttp"} | affected.pop("package", {})
    return {
        "id": "GHSA-1",
        "aliases": ["CVE-1"],
        "summary": "It breaks",
        "affected": [{"package": package, **affected}],
    }


def events(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in pairs]}]}


@pytest.mark.parametrize(
    ("affected", "expected"),
    [
        ({"versions": ["3.14.4", "3.14.5"]}, True),
        ({"versions": ["3.14.5.0"]}, True),
        ({"versions": ["3.14.4", "not a version"]}, False),
        (events(("introduced", "0")), True),
        (events(("introduced", "0"), ("fixed", "3.14.5")), False),
        (events(("introduced", "0"), ("fixed", "3.14.6")), True),
        (events(("introduced", "3.14.6")), False),
        (events(("introduced", "3.14.5"), ("fixed", "3.15")), True),
        (events(("introduced", "0"), ("last_affected", "3.14.5")), True),
        (events(("introduced", "0"), ("last_affected", "3.14.4")), False),
        # Versions are compared as numbers, and events may have any order.
        (events(("fixed", "3.9"), ("introduced", "0")), False),
        (events(("introduced", "3.10"), ("introduced", "1"), ("fixed", "2")), True),
        (events(("introduced", "0"), ("fixed", "rubbish")), True),
        (events(("introduced", "rubbish"), ("fixed", "3.15")), True),
        (events(("introduced", "rubbish"), ("fixed", "3.14.5")), False),
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, False),
        ({}, False),
    ],
)
def test_a_version_is_affected_if_it_is_listed_or_in_a_range(affected: dict[str, Any], expected: bool) -> None:
    assert audit.affects(affected, Version("3.14.5")) is expected


def test_each_vulnerability_is_a_line_with_its_names_and_the_version_that_fixes_it() -> None:
    found = audit.vulnerabilities(PACKAGES, [advisory(**events(("introduced", "3.10"), ("fixed", "3.15")))])
    assert list(found) == ["aiohttp 3.14.5: GHSA-1, CVE-1: It breaks; fixed in 3.15"]

    unfixed = advisory(package={"name": "Ruamel.YAML"}, versions=["0.19.1"])
    del unfixed["summary"], unfixed["aliases"]
    assert list(audit.vulnerabilities(PACKAGES, [unfixed | {"details": "It\nbreaks"}])) == [
        "ruamel-yaml 0.19.1: GHSA-1: It breaks; fixed in no version"
    ]


def test_every_version_of_a_package_is_compared_once() -> None:
    twice = advisory(versions=["3.14.5"])
    twice["affected"] += advisory(**events(("introduced", "0"), ("fixed", "3.15")))["affected"]
    assert list(audit.vulnerabilities(PACKAGES, [twice])) == [
        "aiohttp 3.14.5: GHSA-1, CVE-1: It breaks; fixed in no version",
        "aiohttp 3.9.1: GHSA-1, CVE-1: It breaks; fixed in 3.15",
    ]


@pytest.mark.parametrize(
    "other",
    [
        advisory(package={"name": "flask"}, versions=["3.14.5"]),
        advisory(package={"ecosystem": "npm"}, versions=["3.14.5"]),
        advisory(versions=["3.14.4"]),
        advisory(versions=["3.14.5"]) | {"withdrawn": "2026-01-01T00:00:00Z"},
        {"id": "GHSA-2"},
    ],
)
def test_other_packages_and_versions_and_withdrawn_advisories_do_not_count(other: dict[str, Any]) -> None:
    assert list(audit.vulnerabilities(PACKAGES, [other])) == []


def test_the_lock_files_have_every_package_with_its_version() -> None:
    packages = {name: versions for lock in audit.LOCKS for name, versions in audit.pinned(ROOT / lock).items()}

    assert {"dvc", "tensorflow", "numpy", "ray", "antlr4-python3-runtime", "ruamel-yaml"} <= packages.keys()
    assert len(packages) > 200
    assert packages["tensorflow"] == {Version("2.21.0")}


def test_a_package_may_have_a_version_for_each_python(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("a==1 ; python_full_version < '3.14'\na==2 ; python_full_version >= '3.14'\n", encoding="utf-8")
    assert audit.pinned(lock) == {"a": {Version("1"), Version("2")}}


@pytest.mark.parametrize("line", ["aiohttp", "aiohttp>=3", "aiohttp==3,<4", "-r other.txt", "aiohttp==3.*", ""])
def test_a_lock_file_with_another_line_is_an_error(line: str, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"flask==3.1.3 \\\n    --hash=sha256:ab\n{line}\n", encoding="utf-8")
    with pytest.raises(FacegenderError, match=r"requirements\.lock: not a package with its version: '.*'; run: make"):
        audit.pinned(lock)


def write_zip(path: Path, advisories: list[dict[str, Any]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README", "no advisory")
        for number, content in enumerate(advisories):
            archive.writestr(f"{number}.json", json.dumps(content))
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for lock in audit.LOCKS:
        lock.write_text("aiohttp==3.14.5 \\\n    --hash=sha256:ab\n", encoding="utf-8")
    return tmp_path


def test_a_file_of_advisories_needs_no_internet(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = write_zip(project / "bad.zip", [advisory(versions=["3.14.5"]), advisory(versions=["3.14.4"])])
    with pytest.raises(SystemExit, match=r"^error: audit: 1 of OSV's advisories apply to these 1 packages; raise"):
        audit.main(bad)
    assert capsys.readouterr().out == "aiohttp 3.14.5: GHSA-1, CVE-1: It breaks; fixed in no version\n"

    audit.main(write_zip(project / "good.zip", [advisory(versions=["3.14.4"])]))
    assert capsys.readouterr().out == "audit: no known vulnerability in 1 packages\n"


def test_without_a_file_the_advisories_are_downloaded(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "ADDRESS", write_zip(project / "all.zip", [advisory()]).as_uri())
    audit.main()
    assert capsys.readouterr().out == "audit: no known vulnerability in 1 packages\n"


def test_without_internet_nothing_passes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "ADDRESS", (project / "missing.zip").as_uri())
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert "cannot be downloaded (" in str(ended.value.code)
    assert str(ended.value.code).endswith(
        "), so nothing was compared; download it on another machine, then run: make audit ADVISORIES=all.zip"
    )


@pytest.mark.parametrize(("content", "words"), [(b"<html>", "not a zip file of advisories"), (None, "no advisories")])
def test_a_file_without_advisories_is_an_error(content: bytes | None, words: str, project: Path) -> None:
    path = write_zip(project / "all.zip", [])
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match=words):
        audit.main(path)
