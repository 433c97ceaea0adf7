"""Damaged objects in DVC's cache are found, and deleted with the outs that consist of them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from facegender import cli
from facegender.errors import FacegenderError
from facegender.repository.dvc_cache import Verified, verify_objects


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], Path]:
    """Return a function that puts an object into the cache of the project in this folder."""
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    monkeypatch.setattr("facegender.repository.dvc_cache._cache", lambda: cache)

    def write(name: str, content: bytes) -> Path:
        path = cache / name[:2] / name[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def test_outside_a_project_there_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(FacegenderError) as raised:
        verify_objects()
    assert str(raised.value) == f"{tmp_path}: not in a DVC project; run this in the project's folder"


@pytest.fixture
def project(put: Callable[[str, bytes], Path], tmp_path: Path) -> dict[str, Path]:
    """Make two outs, a file and a folder, and an object of another revision; return the objects by what they are."""
    listing = json.dumps([{"md5": md5(b"a"), "relpath": "a.zip"}, {"md5": md5(b"b"), "relpath": "b.zip"}]).encode()
    outs = [{"path": "model.onnx", "md5": md5(b"model")}, {"path": "folder", "md5": f"{md5(listing)}.dir"}]
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": {"one": {"outs": outs}}}), encoding="utf-8")
    (tmp_path / "model.onnx").write_bytes(b"model")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.zip").write_bytes(b"a")
    put("aa/tmp.Xyz", b"what a killed process left")
    names = {"model": b"model", "a": b"a", "b": b"b", "older": b"older"}
    return {name: put(md5(content), content) for name, content in names.items()} | {
        "listing": put(f"{md5(listing)}.dir", listing)
    }


def test_a_whole_cache_is_told(project: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_objects() == Verified(5, [])

    cli.verify_dvc_cache()

    assert capsys.readouterr().out == "DVC's cache: 5 objects, none damaged\n"


@pytest.mark.parametrize(
    ("damaged", "outs", "kept"),
    [
        (["model"], ["model.onnx"], []),
        (["b"], ["folder"], []),
        (["listing"], ["folder"], []),
        # What no stage makes again may be the only copy of raw data.
        (["older"], [], ["older"]),
        (["older", "model"], ["model.onnx"], ["older"]),
        # Only the list says that the folder has it. When the stage has made the list again, it is found.
        (["model", "a", "listing"], ["model.onnx", "folder"], ["a"]),
    ],
)
def test_damaged_objects_of_outs_go_with_them_and_nothing_else(
    project: dict[str, Path], damaged: list[str], outs: list[str], kept: list[str]
) -> None:
    for name in damaged:
        content = project[name].read_bytes()
        project[name].write_bytes(bytes([content[0] ^ 1]) + content[1:])

    with pytest.raises(FacegenderError) as caught:
        cli.verify_dvc_cache()

    first, *details = str(caught.value).split("\n  ")
    assert first.startswith(f"DVC's cache: {len(damaged)} of 5 objects are damaged; ")
    assert ("run dvc repro, or dvc pull, for what is deleted" in first) == bool(outs)
    assert ("replace what is kept from a copy, or delete it" in first) == bool(kept)
    assert details == [*(f"deleted: {out}" for out in outs), *(f"kept: {project[name]}" for name in kept)]
    assert {name for name, path in project.items() if not path.exists()} == set(damaged) - set(kept)
    assert {name for name in ("model.onnx", "folder") if not Path(name).exists()} == set(outs)
    assert verify_objects() == Verified(
        5 - len(damaged) + len(kept), [md5({"older": b"older", "a": b"a"}[name]) for name in kept]
    )
