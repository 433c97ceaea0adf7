from pathlib import Path

import pytest

from facegender.data.text_files import read_json, read_text
from facegender.errors import FacegenderError


def test_text_and_json_are_read_as_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{"name": "\u00fc", "more": 1}'.encode())

    assert read_text(path, "fix it") == '{"name": "\u00fc", "more": 1}'
    assert read_json(path, "fix it", ["name"]) == {"name": "\u00fc", "more": 1}
    assert read_json(path, "fix it") == {"name": "\u00fc", "more": 1}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "No such file or directory"),
        (b"\xff", "not UTF-8 text"),
        (b"", "damaged: not JSON (Expecting value: line 1 column 1 (char 0))"),
        (b'{"name": ', "damaged: not JSON (Expecting value: line 1 column 10 (char 9))"),
        (b"[]", "damaged: it lacks name"),
        (b'"name"', "damaged: it lacks name"),
        (b"3", "damaged: it lacks name"),
        (b'{"more": 1}', "damaged: it lacks name"),
    ],
)
def test_json_that_cannot_be_used_is_one_line(content: bytes | None, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(FacegenderError) as raised:
        read_json(path, "fix it", ["name"])
    assert str(raised.value) == f"{path}: {what}; fix it"


def test_all_keys_that_are_missing_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"name": 1}', encoding="utf-8")

    with pytest.raises(FacegenderError, match=r"a\.json: damaged: it lacks height, width; fix it$"):
        read_json(path, "fix it", ["height", "name", "width"])


def test_an_array_without_required_keys_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[]", encoding="utf-8")

    with pytest.raises(FacegenderError, match=r"a\.json: damaged: it lacks keys; fix it$"):
        read_json(path, "fix it")
