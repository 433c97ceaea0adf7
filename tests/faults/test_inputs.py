"""A part of the cases of `make faults`: nothing crashes, and nothing that is right is lost."""

from pathlib import Path

import pytest

from facegender.errors import FacegenderError
from tests.faults import inputs
from tests.faults.inputs import CASES, CRASHED, LOST, READ, REFUSED, judge, run

PART = {"lists": 150, "tables": 80, "images": 100, "zips": 80, "params": 8, "models": 60}


def test_wrong_input_is_refused_in_one_line_and_right_input_is_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    counts, reports = run(PART, tmp_path)

    assert reports == []
    assert set(PART) == set(CASES)
    assert {kind: count.total() for kind, count in counts.items()} == PART
    # Of every kind some cases are right and some are wrong, so that neither is refused or taken without being read.
    assert all(count[REFUSED] > 0 for count in counts.values())
    assert all(count.total() > count[REFUSED] for kind, count in counts.items() if kind != "params")
    assert capfd.readouterr().err == ""


def test_a_case_is_the_same_every_time(tmp_path: Path) -> None:
    for kind in ("lists", "images", "zips"):
        assert [judge(kind, number, tmp_path) for number in range(20)] == [
            judge(kind, number, tmp_path) for number in range(20)
        ]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (FacegenderError("a", "is bad", "fix it"), REFUSED),
        (ValueError("no idea"), CRASHED),
        (AssertionError("rows disappear"), LOST),
        (TimeoutError("no answer"), CRASHED),
        (None, READ),
    ],
)
def test_what_happens_is_judged(
    error: Exception | None, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def case(*_: object) -> str:
        if error is not None:
            raise error
        return READ

    monkeypatch.setitem(inputs.CASES, "lists", case)

    found, report = judge("lists", 0, tmp_path)

    assert found == verdict
    assert bool(report) == (verdict in (CRASHED, LOST))
