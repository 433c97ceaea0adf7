import math
from pathlib import Path

import pytest

from facegender.evaluation.rounding import decimals, number, percent
from facegender.evaluation.verdict import against_baseline, read_verdict


@pytest.mark.parametrize(
    ("baseline", "standing", "words"),
    [
        (0.79, "better", "Better than its baseline: it gets 85% of the test images right (80 to 90), and"),
        (0.8, "unclear", "Not clearly better than its baseline: it gets 85%"),
        (0.9, "unclear", "Not clearly better than its baseline: it gets 85%"),
        (0.91, "worse", "Worse than its baseline: it gets 85%"),
    ],
)
def test_the_verdict_depends_on_where_the_baseline_is_to_the_interval(
    baseline: float, standing: str, words: str
) -> None:
    verdict = against_baseline(0.85, 0.8, 0.9, baseline)

    assert verdict.standing == standing
    assert verdict.sentence.startswith(words)
    assert f"{100 * baseline:.0f}%." in verdict.sentence
    assert ("Do not use this model." in verdict.sentence) == (standing == "worse")


def test_the_verdict_is_read_from_the_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    metrics = "metric,value,low,high\nroc_auc,0.1,0.1,0.1\naccuracy,0.963,0.954,0.971\n"
    (tmp_path / "metrics" / "evaluate.csv").write_text(metrics, encoding="utf-8")
    (tmp_path / "metrics" / "baseline.json").write_text('{"accuracy": 0.89402}', encoding="utf-8")

    sentence = read_verdict().sentence

    assert "it gets 96.3% of the test images right (95.4 to 97.1)" in sentence
    assert "grey pixels, 89.4%." in sentence


@pytest.mark.parametrize(
    ("low", "high", "places"),
    [
        # Half the width is 0.07, 0.01, 0.0085, 0.001 and 0.0001.
        (0.61, 0.75, 2),
        (0.9, 0.92, 2),
        (0.954, 0.971, 3),
        (0.99, 0.992, 3),
        (0.5, 0.5002, 4),
        (0.5, 0.50002, 4),
        (0.1, 0.9, 2),
        (1, 1, 2),
        (math.nan, math.nan, 2),
    ],
)
def test_a_number_has_as_many_decimals_as_its_interval_can_bear(low: float, high: float, places: int) -> None:
    assert decimals(low, high) == places


def test_a_share_is_shown_in_percent_as_precisely_as_the_share_itself() -> None:
    assert [percent(0.69375, places) for places in (2, 3, 4)] == ["69", "69.4", "69.38"]
    assert number(0.69375, 2) == "0.69"
    assert number(math.nan, 2) == percent(math.nan, 2) == "\N{EN DASH}"
