import json
import subprocess
import sys
from pathlib import Path

import pytest

from facegender.errors import FacegenderError
from facegender.reporting.costs import read_costs

STAGE = """
import sys, time
from facegender.reporting.costs import recorded_cost
@recorded_cost
def main(*arguments):
    block = b"x" * (1_000 if "small" in arguments else 200_000_000)
    time.sleep(0.2)
    if arguments == ("bad",):
        raise SystemExit(3)
if __name__ == "__main__":
    main(*sys.argv[1:])
"""


def run(folder: Path, *arguments: str) -> int:
    (folder / "stages").mkdir(exist_ok=True)
    (folder / "stages" / "thing.py").write_text(STAGE, encoding="utf-8")
    return subprocess.run([sys.executable, "-m", "stages.thing", *arguments], cwd=folder, check=False).returncode


def test_time_and_memory_are_written_under_the_name_of_the_stage(tmp_path: Path) -> None:
    # The peak of this process must not count.
    own = b"x" * 600_000_000
    assert run(tmp_path) == run(tmp_path, "small", "data/train") == 0
    del own
    costs = {path.stem: json.loads(path.read_text()) for path in (tmp_path / ".cache/costs").glob("*.json")}
    assert set(costs) == {"thing", "thing@small"}
    assert costs["thing"]["seconds"] >= 0.2
    assert costs["thing"]["peak_bytes"] - costs["thing@small"]["peak_bytes"] == pytest.approx(200e6, rel=0.1)
    assert 5e6 < costs["thing@small"]["peak_bytes"] < 400e6


def test_a_failed_stage_writes_no_cost(tmp_path: Path) -> None:
    assert run(tmp_path, "bad") == 3
    assert not (tmp_path / ".cache").exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]", b"3", b"{}", b'{"seconds": 1}', b'{"seconds": [], "peak_bytes": 1}']
)
def test_a_damaged_file_is_one_line(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(".cache/costs/train.json")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    with pytest.raises(FacegenderError) as raised:
        read_costs()
    assert str(raised.value) == f"{path}: damaged: not the cost of a stage; delete it; the stage's next run writes it"
