import platform
from pathlib import Path

import pytest

from facegender import processor
from facegender.errors import FacegenderError
from facegender.processor import this_processor
from facegender.repository.processor import recorded_processor

INTEL = "processor\t: 0\nflags\t\t: fpu sse4_2 avx avx2 avx512f avx512_vnni avx512_bf16\nbugs\t\t: spectre_v1\n"


@pytest.mark.parametrize(
    ("listed", "machine", "found"),
    [
        (INTEL, "x86_64", "x86_64 avx512_bf16"),
        ("flags\t\t: fpu sse4_2 avx avx2\n", "x86_64", "x86_64 avx2"),
        ("flags\t\t: fpu sse4_2\n", "x86_64", "x86_64"),
        ("Features\t: fp asimd bf16\n", "aarch64", "aarch64"),
        (None, "arm64", "arm64"),
    ],
)
def test_the_kind_is_the_architecture_and_the_widest_instructions(
    listed: str | None, machine: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path, **_: object) -> str:
        assert path == Path("/proc/cpuinfo")
        if listed is None:
            raise FileNotFoundError(path)
        return listed

    monkeypatch.setattr(processor.Path, "read_text", read)
    monkeypatch.setattr(platform, "machine", lambda: machine)

    assert this_processor() == found


def test_the_record_is_read_if_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    assert recorded_processor() is None
    (tmp_path / "metrics" / "processor.json").write_text('{"processor": "x86_64 avx2"}')
    assert recorded_processor() == "x86_64 avx2"
    (tmp_path / "metrics" / "processor.json").write_bytes(b"\xff")
    with pytest.raises(FacegenderError, match=r"^metrics/processor\.json: cannot be read .* git restore metrics"):
        recorded_processor()
