from pathlib import Path

import pandas as pd
import pytest

from facegender.errors import FacegenderError
from facegender.evaluation.metrics import metrics_of
from facegender.repository import gate
from facegender.repository.gate import Finding
from facegender.repository.gate_checks import _figures
from facegender.repository.project import recorded_md5
from tests.predictions import BAD, GOOD, predictions

JUDGEMENT = {"threshold": 0.5, "temperature": 1.0}


def test_a_lock_file_is_stale_at_each_stage_with_what_differs() -> None:
    assert gate.check_lock({}).verdict == "pass"
    finding = gate.check_lock({"train": ["train.dropout"], "evaluate": []})
    assert finding[:3] == ("lock", "fail", "dvc.lock is stale at train (train.dropout), evaluate")
    assert "dvc repro" in finding.remedy


@pytest.mark.parametrize(
    ("floors", "ceilings", "verdict", "words"),
    [
        ({"accuracy": 0.9}, {"gap": 0.2}, "pass", "accuracy 0.9000, gap -0.2000"),
        ({"accuracy": 0.901}, {}, "fail", "accuracy 0.9000 is below 0.901"),
        # Whatever its sign.
        ({"accuracy": 0.5}, {"gap": 0.1}, "fail", "gap -0.2000 is above 0.1"),
        ({"acuracy": 0.5}, {}, "fail", "acuracy is not in a.json or b.json (is accuracy meant?)"),
        ({}, {}, "pass", "none are set"),
        ({"none": 0.5}, {}, "fail", "none nan is below 0.5"),
        ({}, {"none": 0.5}, "fail", "none nan is above 0.5"),
    ],
)
def test_floors_and_ceilings(floors: dict[str, float], ceilings: dict[str, float], verdict: str, words: str) -> None:
    finding = gate.check_floors(
        {"accuracy": 0.9, "gap": -0.2, "none": float("nan")}, floors, ceilings, ("a.json", "b.json")
    )
    assert finding[1:3] == (verdict, words)
    assert bool(finding.remedy) == (verdict == "fail")


def test_a_fall_beyond_margin_and_chance_fails() -> None:
    finding = gate.check_base(GOOD, BAD, {"accuracy": 0.05}, 200, 0)
    assert finding.verdict == "fail"
    assert finding.found.startswith("accuracy -0.2000 (-0.")
    assert finding.found.endswith("worse by more than 0.05. On the same 200 images")
    assert "gate.margins" in finding.remedy
    assert gate.check_base(GOOD, BAD, {"accuracy": 0.25}, 200, 0).verdict == "pass"
    assert gate.check_base(BAD, GOOD, {"accuracy": 0.0}, 200, 0).verdict == "pass"


def test_of_an_error_more_is_worse() -> None:
    assert gate.check_base(GOOD, BAD, {"brier_score": 0.05}, 200, 0).verdict == "fail"
    assert gate.check_base(BAD, GOOD, {"brier_score": 0.05}, 200, 0).verdict == "pass"


def test_a_fall_that_chance_explains_passes_and_is_told() -> None:
    # Each model fails on images of its own: 10 and 14 of 200.
    new = predictions([False] * 14 + [True] * 186)
    finding = gate.check_base(GOOD, new, {"accuracy": 0.01}, 200, 0)
    assert finding.verdict == "pass"
    assert finding.found.startswith("accuracy -0.0200 (-0.")
    assert "worse by more than 0.01, which chance explains" in finding.found


def test_a_larger_test_set_is_compared_on_the_images_of_both() -> None:
    # On the 200 old images nothing changed; the 200 new ones are all wrong.
    larger = pd.concat([GOOD, predictions([False] * 200, first=200)], ignore_index=True)
    finding = gate.check_base(GOOD, larger, {"accuracy": 0.0}, 200, 0)
    assert finding.verdict == "pass"
    assert finding.found.startswith("accuracy +0.0000 (+0.0000 to +0.0000)")
    assert finding.found.endswith("the 200 images that are in both test sets, 200 of the base and 400 here")


@pytest.mark.parametrize(
    "other", [predictions([False] * 40 + [True] * 160, first=200), GOOD.assign(label=1 - GOOD["label"])]
)
def test_test_sets_without_common_images_are_compared_unpaired(other: pd.DataFrame) -> None:
    finding = gate.check_base(GOOD, other, {"accuracy": 0.05}, 200, 0)
    assert finding.verdict == "fail"
    assert finding.found.endswith("On other images each, 200 of the base and 200 here, so that nothing is paired")


def test_a_margin_of_no_figure_is_told() -> None:
    with pytest.raises(FacegenderError, match=r"gate\.margins\.worst_recall: no such figure"):
        gate.check_base(GOOD, BAD, {"worst_recall": 0.1}, 100, 0)


def test_a_model_that_says_the_same_within_the_tolerance_passes() -> None:
    fresh = GOOD.assign(probability=GOOD["probability"] + 0.015)[::-1]
    finding = gate.check_model(fresh, GOOD, metrics_of(GOOD), JUDGEMENT, 0.02)
    assert finding[:3] == ("model", "pass", "accuracy 0.95 here, 0.95 committed; P(Male) differs by at most 0.0150")


def test_one_image_beyond_the_tolerance_fails() -> None:
    fresh = GOOD.assign(probability=GOOD["probability"].where(GOOD.index != 7, 0.77))
    finding = gate.check_model(fresh, GOOD, metrics_of(GOOD), JUDGEMENT, 0.02)
    assert finding.verdict == "fail"
    assert finding.found.startswith("1 of 200 images get another P(Male) here")
    assert "(0007.jpg: 0.7700, not 0.8000)" in finding.found


def test_probabilities_are_compared_before_calibration_made_them_surer() -> None:
    # At the temperature 0.25, 0.5 and 0.525 come of 0.5 and 0.50626.
    fresh, committed = (GOOD.assign(probability=one, predicted=1) for one in (0.525, 0.5))
    finding = gate.check_model(fresh, committed, metrics_of(committed), JUDGEMENT | {"temperature": 0.25}, 0.007)
    assert finding.verdict == "pass"
    assert finding.found.endswith("by at most 0.0063")
    assert gate.check_model(fresh, committed, metrics_of(committed), JUDGEMENT, 0.007).verdict == "fail"


def test_figures_edited_by_hand_are_told() -> None:
    figures = metrics_of(GOOD) | {"accuracy": 0.97}
    finding = gate.check_model(GOOD, GOOD, figures, JUDGEMENT, 0.02)
    assert finding.verdict == "fail"
    assert "metrics/evaluate.json is not of data/predictions.csv: accuracy is 0.95, not 0.97" in finding.found


def test_a_figure_that_was_added_by_hand_is_told() -> None:
    finding = gate.check_model(GOOD, GOOD, metrics_of(GOOD) | {"worst_recall": 1.0}, JUDGEMENT, 0.02)
    assert finding.verdict == "fail"
    assert "worst_recall is no figure of predictions" in finding.found


@pytest.mark.parametrize("content", ['{"accuracy": NaN}', '{"accuracy": "high"}', '{"accuracy": null}', "[1]", "{"])
def test_figures_that_are_no_finite_numbers_are_one_line(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(FacegenderError, match=r"^a\.json: no valid JSON of figures .*; run: dvc repro$"):
        _figures("a.json")


def test_a_lock_file_with_marks_of_a_conflict_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text("<<<<<<< HEAD\nstages:\n=======\nstages:\n>>>>>>> other\n")
    with pytest.raises(FacegenderError, match=r"^dvc\.lock: no valid YAML"):
        recorded_md5("models/gender.keras")


def test_of_many_missing_files_the_first_are_named() -> None:
    finding = gate.check_remote([f"data/{number}" for number in range(1200)])
    assert finding.found == "not in the remote: data/0, data/1, data/2, data/3, data/4 and 1,195 more"


def test_predictions_called_otherwise_than_the_threshold_says_are_told() -> None:
    finding = gate.check_model(GOOD, GOOD, metrics_of(GOOD), JUDGEMENT | {"threshold": 0.9}, 0.02)
    assert "100 images of data/predictions.csv are not called as the threshold says" in finding.found


@pytest.mark.parametrize("fresh", [GOOD[:-1], GOOD.assign(label=1 - GOOD["label"])])
def test_predictions_of_other_images_or_labels_are_told(fresh: pd.DataFrame) -> None:
    finding = gate.check_model(fresh, GOOD, metrics_of(GOOD), JUDGEMENT, 0.02)
    assert finding.verdict == "fail"
    assert "with the same label in common, of 200" in finding.found


def test_what_a_check_cannot_read_fails_it_with_the_remedy() -> None:
    def check() -> Finding:
        raise FacegenderError("models/gender.keras: No such file; run: dvc pull; or more")

    assert gate.made("model", check) == ("model", "fail", "models/gender.keras: No such file", "run: dvc pull; or more")


def test_of_several_mistakes_the_one_that_says_what_was_meant_is_shown() -> None:
    def check() -> Finding:
        raise FacegenderError("params.yaml: a is missing; look\nerror: params.yaml: b is unknown; did you mean a?")

    assert gate.made("lock", check) == ("lock", "fail", "params.yaml: b is unknown", "did you mean a?")


def test_the_table() -> None:
    page = gate.findings_markdown([Finding("lock", "pass", "a | b"), Finding("base", "fail", "c", "d\ne")], ["model"])
    assert page.splitlines() == [
        "| Check | Verdict | Found | What to do |",
        "| --- | --- | --- | --- |",
        "| lock | pass | a \\| b |  |",
        "| base | fail | c | d e |",
        "",
        "Not checked: model.",
    ]
    assert "Not checked" not in gate.findings_markdown([], [])
