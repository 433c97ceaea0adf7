import json
from pathlib import Path

import pytest

from facegender.errors import FacegenderError
from facegender.repository.gate_checks import _metrics


@pytest.mark.parametrize("content", ['{"accuracy": NaN}', '{"accuracy": "high"}', '{"accuracy": null}', "[1]", "{"])
def test_metrics_that_are_not_finite_numbers_are_a_one_line_error(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(FacegenderError, match=r"^a\.json: not valid JSON of metrics .*; run: dvc repro$"):
        _metrics("a.json")


def test_metrics_are_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"accuracy": 0.5, "judged": 3}))
    assert _metrics(str(tmp_path / "a.json")) == {"accuracy": 0.5, "judged": 3}
