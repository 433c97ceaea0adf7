"""A few seconds of `make soak`, with a tiny network."""

import asyncio
import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from facegender.serving.app import SECURITY_HEADERS
from tests.onnx_model import save_mean_network
from tests.soak.load import BURST, Request, check_answer, growth, run


def test_good_bad_and_slow_clients_are_served_and_nothing_fails(tmp_path: Path) -> None:
    save_mean_network(tmp_path / "model.onnx", 218, 178, 0.5)
    (tmp_path / "work").mkdir()

    report = asyncio.run(run(tmp_path / "model.onnx", tmp_path / "work", seconds=3, seed=0))

    assert report.faults == []
    assert report.statuses["face"]["200"] > 0
    # All that were sent at once are answered, with a prediction or 503.
    assert report.statuses["face"].total() >= BURST
    assert set(report.statuses["face"]) <= {"200", "503"}
    assert all(len(memory) > 10 for memory in report.memory.values())


def answer(status: int, **headers: str) -> Any:
    return SimpleNamespace(status=status, headers=SECURITY_HEADERS | {"Retry-After": "2"} | headers)


@pytest.mark.parametrize(
    ("given", "content", "words"),
    [
        (answer(200), b"{}", None),
        (answer(503), b'{"error": "busy"}', None),
        (answer(500), b'{"error": "internal"}', "x: status 500, not 200"),
        (answer(503, **{"Retry-After": ""}), b'{"error": "busy"}', "x: 503 without Retry-After"),
        (answer(200, **{"X-Frame-Options": "ALLOW"}), b"{}", "x: headers are missing"),
        (answer(503), b'{"error": "two\\nlines"}', "x: not one line"),
    ],
)
def test_what_must_not_happen_is_a_fault(given: Any, content: bytes, words: str | None) -> None:
    faults = check_answer("x", Request(200, "/"), given, content)
    assert [words is not None and fault.startswith(words) for fault in faults] == [True] * (words is not None)


def test_growth_compares_the_first_third_with_the_last() -> None:
    memory = [1_000_000, 2_000_000, 3_000_000, 50_000_000, 6_000_000, 6_000_000, 7_000_000, 8_000_000, 9_000_000]
    assert growth(memory) == (2, statistics.median([7, 8, 9]), 50)
