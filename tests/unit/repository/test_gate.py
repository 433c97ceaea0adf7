from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from facegender.errors import FacegenderError, FacegenderErrors
from facegender.evaluation.metrics import metrics_of
from facegender.repository import gate
from facegender.repository.gate import Finding
from tests.predictions import BAD, GOOD, predictions

OUTS = {"data/features/val", "models/gender.keras", "metrics/evaluate.json", "metrics/processor.json"}
SIDECAR = {"threshold": 0.5, "temperature": 1.0}
REPEAT = (
    "run dvc repro --single-item --force calibrate and dvc repro, commit dvc.lock and metrics/, and dvc push; "
    "trust neither the model nor its metrics until then"
)


def check_lock(
    stale: dict[str, list[str]], missing: Sequence[str] = (), here: str = "x86_64 avx2", recorded: str | None = None
) -> Finding:
    return gate.check_lock(stale, missing, OUTS, here, recorded)


def test_a_stale_lock_file_fails_with_each_stage_and_what_differs() -> None:
    assert check_lock({}) == (
        "lock",
        "pass",
        "dvc.lock matches code, parameters and data, and metrics and plots are those of dvc.lock",
        "",
    )
    finding = check_lock({"train": ["train.dropout", "train.seed"], "evaluate": []})
    assert finding == (
        "lock",
        "fail",
        "dvc.lock is stale at train (train.dropout, train.seed), evaluate",
        "run: dvc repro, then commit dvc.lock and metrics/",
    )


def test_missing_metrics_fail_with_their_names() -> None:
    finding = check_lock({}, ["metrics/eda.json", "metrics/slices.json"])
    assert finding == (
        "lock",
        "fail",
        "dvc.lock has files that are missing here: metrics/eda.json, metrics/slices.json",
        "restore the files from Git, or run: dvc repro, then commit dvc.lock and metrics/",
    )
    both = check_lock({"train": []}, [f"{number}.json" for number in range(7)])
    assert both.found == (
        "dvc.lock is stale at train; dvc.lock has files that are missing here: 0.json, 1.json, 2.json, 3.json, 4.json "
        "and 2 more"
    )
    assert both.remedy.startswith("run: dvc repro")


COMPUTED = {"features@val": ["data/features/val"], "train": ["data/features/val", "models/gender.keras"]}


def test_results_of_another_kind_of_processor_are_not_called_stale() -> None:
    finding = check_lock(COMPUTED, here="x86_64 avx512_bf16", recorded="x86_64 avx2")
    assert finding == (
        "lock",
        "fail",
        "computed on another kind of processor (x86_64 avx512_bf16) than the model of dvc.lock (x86_64 avx2), from the "
        "same code, parameters and raw data: data/features/val, models/gender.keras",
        "keep the recorded results: git restore metrics && dvc checkout --allow-missing; or replace them, run: dvc "
        "repro, then commit dvc.lock and metrics/",
    )
    # Training ran here too, so the record differs from dvc.lock's.
    here_too = check_lock(COMPUTED | {"processor": ["metrics/processor.json"]}, recorded="x86_64 avx2")
    assert here_too.found.startswith("computed on another kind of processor (x86_64 avx2) than the model of dvc.lock (")
    # Every out may differ.
    all_outs = check_lock({"evaluate": sorted(OUTS)}, recorded="x86_64 avx2")
    assert all_outs.found.startswith("computed on another kind of processor (x86_64 avx2) than the model of dvc.lock (")


@pytest.mark.parametrize(
    ("more", "recorded"),
    [
        ({}, "x86_64 avx2"),
        ({}, None),
        ({"calibrate": ["src/facegender/evaluation"]}, "aarch64"),
        ({"train": ["params.yaml: train.seed"]}, "aarch64"),
        ({"preprocess@val": ["data/celeba/img_align_celeba.zip"]}, "aarch64"),
    ],
)
def test_a_change_that_the_processor_does_not_explain_is_stale(
    more: dict[str, list[str]], recorded: str | None
) -> None:
    assert check_lock(COMPUTED | more, recorded=recorded).found.startswith("dvc.lock is stale at features@val")


IMPROVE = (
    "improve the data or the training; limits and waivers (gate in params.yaml) are changed in a pull request of their "
    "own"
)
FIX_NAME = (
    "fix the name in gate of params.yaml; a name that starts with worst_ needs a slice of the test images with at "
    "least 30 of each class"
)
GATE: dict[str, Any] = {
    "floors": {"accuracy": 0.6},
    "ceilings": {},
    "margins": {"roc_auc": 0.02},
    "baseline": "required",
    "tolerance": 0.02,
}


def test_unchanged_limits_pass() -> None:
    assert gate.check_limits(GATE, GATE, "main", []) == ("limits", "pass", "the same as at main", "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"floors": {"accuracy": 0.5}}, "gate.floors.accuracy: 0.6 at main, 0.5 here"),
        ({"floors": {}}, "gate.floors.accuracy: 0.6 at main, none here"),
        ({"ceilings": {"log_loss": 1.0}}, "gate.ceilings.log_loss: none at main, 1.0 here"),
        ({"margins": {"roc_auc": 0.1}}, "gate.margins.roc_auc: 0.02 at main, 0.1 here"),
        ({"baseline": "waived"}, "gate.baseline: required at main, waived here"),
        ({"tolerance": 0.9}, "gate.tolerance: 0.02 at main, 0.9 here"),
    ],
)
def test_each_changed_limit_is_shown(change: dict[str, object], words: str) -> None:
    finding = gate.check_limits(GATE | change, GATE, "main", [])
    assert finding[1:3] == ("pass", f"{words}; those of main apply")
    assert finding.remedy.endswith("in a pull request of their own")


def test_a_base_without_limits_is_shown() -> None:
    assert gate.check_limits(GATE, None, "main", []) == (
        "limits",
        "pass",
        "params.yaml of main has no valid gate, so the limits of this folder apply",
        "review them",
    )


def test_several_changed_limits_are_shown_by_name() -> None:
    finding = gate.check_limits(GATE | {"tolerance": 0.9, "baseline": "waived"}, GATE, "main", [])
    assert finding.found == (
        "gate.baseline: required at main, waived here, gate.tolerance: 0.02 at main, 0.9 here; those of main apply"
    )


def test_limits_on_unknown_metrics_fail_before_they_are_merged_and_apply() -> None:
    limits = {"gate.floors": {"acuracy": 0.5, "roc_auc": 0.9}, "gate.ceilings": {"unheard": 0.1}}
    unknown = gate.unknown_metrics(limits, ["accuracy", "roc_auc"], ["a.json", "b.json"])
    assert unknown == [
        "gate.floors.acuracy: no such metric in a.json or b.json (did you mean accuracy?)",
        "gate.ceilings.unheard: no such metric in a.json or b.json",
    ]
    # A name that is right but has no value, as no slice is large enough, is not corrected.
    assert gate.unknown_metrics({"gate.floors": {"worst_recall": 0.5}}, ["recall"], ["a.json"]) == [
        "gate.floors.worst_recall: no such metric in a.json"
    ]
    finding = gate.check_limits(GATE, GATE | {"tolerance": 0.1}, "main", unknown)
    changed = "gate.tolerance: 0.1 at main, 0.02 here; those of main apply"
    assert finding[:3] == ("limits", "fail", f"{unknown[0]}, {unknown[1]}; {changed}")
    assert finding.remedy == FIX_NAME


@pytest.mark.parametrize(
    ("floors", "ceilings", "verdict", "words", "remedy"),
    [
        ({"accuracy": 0.9}, {"gap": 0.2}, "pass", "accuracy 0.9000, gap 0.2000", ""),
        ({"accuracy": 0.901}, {}, "fail", "accuracy 0.9000 is below 0.901", IMPROVE),
        ({"accuracy": 0.5}, {"gap": 0.1}, "fail", "gap 0.2000 is above 0.1", IMPROVE),
        (
            {"acuracy": 0.5},
            {},
            "fail",
            "gate.floors.acuracy: no such metric in a.json or b.json (did you mean accuracy?)",
            FIX_NAME,
        ),
        # A limit after an unknown one counts too.
        (
            {"unheard": 0.5, "accuracy": 0.901},
            {"other": 1.0},
            "fail",
            "accuracy 0.9000 is below 0.901, gate.floors.unheard: no such metric in a.json or b.json, "
            "gate.ceilings.other: no such metric in a.json or b.json",
            f"{IMPROVE}; {FIX_NAME}",
        ),
        ({}, {}, "pass", "none are set", ""),
        ({"none": 0.5}, {}, "fail", "none nan is below 0.5", IMPROVE),
        ({}, {"none": 0.5}, "fail", "none nan is above 0.5", IMPROVE),
    ],
)
def test_floors_and_ceilings(
    floors: dict[str, float], ceilings: dict[str, float], verdict: str, words: str, remedy: str
) -> None:
    finding = gate.check_floors(
        {"accuracy": 0.9, "gap": 0.2, "none": float("nan")}, floors, ceilings, ("a.json", "b.json")
    )
    assert finding == ("floors", verdict, words, remedy)


@pytest.mark.parametrize("rule", ["required", "waived"])
def test_a_model_that_is_better_than_its_baseline_passes(rule: Any) -> None:
    finding = gate.check_baseline(BAD, GOOD, rule)

    assert finding[:2] == ("baseline", "pass")
    assert finding.found.startswith("Better than its baseline: 0.95 against 0.75 on 200 test images (difference 0.1")
    assert not finding.remedy


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (GOOD, "Worse than its baseline: 0.75 against 0.95 on 200 test images"),
        # Each is right on 9 images on which the other is wrong.
        (
            predictions([False] * 9 + [True] * 159 + [False] * 32),
            "Not clearly better than its baseline: 0.75 against 0.80 on",
        ),
        (BAD, "Not clearly better than its baseline: 0.75 against 0.75 on 200 test images (difference 0.00 to 0.00)."),
    ],
)
def test_a_model_that_is_not_better_than_its_baseline_needs_a_waiver(baseline: pd.DataFrame, words: str) -> None:
    failed = gate.check_baseline(baseline, BAD, "required")
    assert failed[:2] == ("baseline", "fail")
    assert failed.found.startswith(words)
    assert failed.remedy == IMPROVE

    waived = gate.check_baseline(baseline, BAD, "waived")
    assert waived == ("baseline", "waived", f"{failed.found} It need not be better: gate.baseline is waived", "")


def test_a_baseline_on_other_images_is_an_error() -> None:
    with pytest.raises(FacegenderError, match=r"0199\.jpg is in only one of them .*or run: dvc repro$"):
        gate.check_baseline(BAD[:-1], GOOD, "waived")


def test_a_significant_drop_beyond_the_margin_fails() -> None:
    finding = gate.check_base(GOOD, BAD, {"accuracy": 0.05}, 200, 0)
    assert finding.verdict == "fail"
    assert finding.found.startswith("accuracy -0.2000 (-0.")
    assert finding.found.endswith("worse by more than 0.05. On the same 200 images")
    assert (
        finding.remedy
        == "improve the model; limits and waivers (gate in params.yaml) are changed in a pull request of their own"
    )
    assert gate.check_base(GOOD, BAD, {"accuracy": 0.2}, 200, 0).verdict == "pass"
    assert gate.check_base(GOOD, BAD, {"accuracy": 0.25}, 200, 0).verdict == "pass"
    assert gate.check_base(BAD, GOOD, {"accuracy": 0.0}, 200, 0).verdict == "pass"


def test_a_higher_error_metric_is_worse() -> None:
    assert gate.check_base(GOOD, BAD, {"brier_score": 0.05}, 200, 0).verdict == "fail"
    assert gate.check_base(BAD, GOOD, {"brier_score": 0.05}, 200, 0).verdict == "pass"


def test_a_drop_that_is_not_significant_passes_and_is_shown() -> None:
    # Each model fails on images of its own: 10 and 14 of 200.
    new = predictions([False] * 14 + [True] * 186)
    finding = gate.check_base(GOOD, new, {"accuracy": 0.01}, 200, 0)
    assert finding.verdict == "pass"
    assert finding.found.startswith("accuracy -0.0200 (-0.")
    assert "worse by more than 0.01 but not statistically significant" in finding.found


@pytest.mark.parametrize(("name", "words"), [("accuracy", "to +0.0000)"), ("brier_score", "(+0.0000 to")])
def test_an_interval_that_ends_at_0_is_not_significant(name: str, words: str) -> None:
    # 3 images became wrong. About one sample in 20 has none of them: more than the 2.5% beyond an end of the interval.
    new = predictions([True] * 187 + [False] * 13)
    finding = gate.check_base(GOOD, new, {name: 0.0}, 200, 0)
    assert finding.verdict == "pass"
    assert words in finding.found
    assert "worse by more than 0 but not statistically significant" in finding.found


def test_metrics_that_are_worse_come_first() -> None:
    # The same calls with more doubt: only the probabilities are worse.
    unsure = GOOD.assign(probability=GOOD["probability"].replace({0.8: 0.6, 0.2: 0.4}))
    finding = gate.check_base(GOOD, unsure, {"accuracy": 0.0, "log_loss": 0.0}, 200, 0)
    assert finding.verdict == "fail"
    worse, passed = finding.found.split("; ")
    assert worse.startswith("log_loss +0.")
    assert worse.endswith("worse by more than 0")
    assert passed == "accuracy +0.0000 (+0.0000 to +0.0000). On the same 200 images"


def test_without_margins_the_images_are_named() -> None:
    assert gate.check_base(GOOD, BAD, {}, 100, 0) == (
        "base",
        "pass",
        "no margins are set. On the same 200 images",
        "",
    )


@pytest.mark.parametrize("other", [BAD, BAD.assign(label=1 - BAD["label"])], ids=["paired", "unpaired"])
def test_the_seed_alone_decides_on_the_samples(other: pd.DataFrame) -> None:
    first, again, another = (gate.check_base(GOOD, other, {"accuracy": 0.0}, 50, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != another


def test_a_larger_test_set_is_compared_on_the_shared_images() -> None:
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
    assert finding.found.endswith("On different images, 200 of the base and 200 here, so the comparison is not paired")


@pytest.mark.parametrize(("shared", "paired"), [(30, True), (29, False)])
def test_test_sets_are_paired_if_they_share_30_images_of_each_class(shared: int, paired: bool) -> None:
    # `predictions` alternates the classes, so the two sets share this many images of each.
    base, here = predictions([True] * 2 * shared), predictions([True] * 2 * (shared + 10))

    finding = gate.check_base(base, here, {"accuracy": 0.01}, 100, 0)

    assert ("images that are in both test sets" in finding.found) is paired
    assert ("the comparison is not paired" in finding.found) is not paired


@pytest.mark.parametrize("few", [0, 1])
def test_30_images_of_one_class_are_not_enough_to_pair(few: int) -> None:
    # 29 images of one class and 40 of the other are in both.
    table = predictions([True] * 80)
    less = table[(table["label"] != few) | (table.index < 58)]
    finding = gate.check_base(less, pd.concat([less, predictions([True] * 2, first=80)]), {"accuracy": 0.01}, 100, 0)
    assert finding.found.endswith("On different images, 69 of the base and 71 here, so the comparison is not paired")


def test_a_small_test_set_that_stays_the_same_is_paired() -> None:
    small = predictions([True] * 20)
    assert gate.check_base(small, small, {"accuracy": 0.01}, 100, 0).found.endswith(" On the same 20 images")


def test_a_margin_for_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(FacegenderError) as error:
        gate.check_base(GOOD, BAD, {"worst_recall": 0.1}, 100, 0)
    assert str(error.value) == (
        "gate.margins.worst_recall: no such metric of predictions; known metrics are accuracy, balanced_accuracy, "
        "precision, recall, f1, precision_no_male, recall_no_male, f1_no_male, roc_auc, average_precision, log_loss, "
        "brier_score, expected_calibration_error"
    )


def test_predictions_within_the_tolerance_pass() -> None:
    fresh = GOOD.assign(probability=GOOD["probability"] + 0.015)[::-1]
    finding = gate.check_model(fresh, GOOD, metrics_of(GOOD), SIDECAR, 0.02, ({}, {}))
    assert finding[:3] == ("model", "pass", "accuracy 0.95 here, 0.95 committed; P(Male) differs by at most 0.0150")


def test_one_image_beyond_the_tolerance_fails() -> None:
    fresh = GOOD.assign(probability=GOOD["probability"].where(GOOD.index != 7, 0.77))
    finding = gate.check_model(fresh, GOOD, metrics_of(GOOD), SIDECAR, 0.02)
    assert finding == (
        "model",
        "fail",
        "1 of 200 images have a different P(Male) here and in data/predictions.csv (0007.jpg: 0.7700, not 0.8000). "
        "accuracy 0.95 here, 0.95 committed; P(Male) differs by at most 0.0300; metrics/slices.json was not computed "
        "again, as the attributes are not here",
        REPEAT,
    )


def test_a_difference_of_the_tolerance_itself_passes() -> None:
    # Between numbers in binary only 0 is surely exact.
    assert gate.check_model(GOOD, GOOD, metrics_of(GOOD), SIDECAR, 0.0).verdict == "pass"
    fresh = GOOD.assign(probability=GOOD["probability"].where(GOOD.index != 7, 0.77))
    finding = gate.check_model(fresh, GOOD, metrics_of(GOOD), SIDECAR, 0.0)
    assert finding.found.startswith("1 of 200 images have a different P(Male) here")


def test_probabilities_are_compared_at_the_temperature_1() -> None:
    # 0.5 and 0.525 at the temperature 0.25 are 0.5 and 0.50626 at 1.
    fresh, committed = (GOOD.assign(probability=one, predicted=1) for one in (0.525, 0.5))
    finding = gate.check_model(
        fresh, committed, metrics_of(committed), SIDECAR | {"temperature": 0.25}, 0.007, ({}, {})
    )
    assert finding.verdict == "pass"
    assert finding.found.endswith("by at most 0.0063")
    assert gate.check_model(fresh, committed, metrics_of(committed), SIDECAR, 0.007).verdict == "fail"


# Metrics have 6 decimals; the last one may be rounded differently elsewhere.
@pytest.mark.parametrize(
    ("edit", "verdict"), [(0.02, "fail"), (1e-4, "fail"), (1e-5, "fail"), (2e-6, "fail"), (1e-6, "pass"), (0, "pass")]
)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", sorted(metrics_of(GOOD)))
def test_metrics_must_follow_from_predictions_to_the_last_decimal(
    name: str, sign: int, edit: float, verdict: str
) -> None:
    of_predictions = metrics_of(GOOD)
    edited = of_predictions | {name: round(of_predictions[name] + sign * edit, 6)}
    finding = gate.check_model(GOOD, GOOD, edited, SIDECAR, 0.02)
    assert finding.verdict == verdict
    assert (f"{name} is {of_predictions[name]:g}, not {edited[name]}" in finding.found) == (verdict == "fail")


SLICES = {"judged": 4, "worst_recall": 0.5}


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"judged": 4, "worst_recall": 0.501}, "worst_recall is 0.5, not 0.501"),
        ({"judged": 3, "worst_recall": 0.5}, "judged is 4, not 3"),
        ({"judged": 4}, "worst_recall is 0.5, not None"),
        ({**SLICES, "largest_recall_gap": 0.0}, "largest_recall_gap is None, not 0.0"),
        ({**SLICES, "worst_recall": 0.500001}, ""),
        (SLICES, ""),
    ],
)
def test_metrics_of_slices_must_follow_from_predictions(written: dict[str, float], words: str) -> None:
    finding = gate.check_model(GOOD, GOOD, metrics_of(GOOD), SIDECAR, 0.02, (SLICES, written))

    assert finding.verdict == ("fail" if words else "pass")
    named = f"metrics/slices.json does not follow from data/predictions.csv: {words}. accuracy 0.95 here"
    assert finding.found.startswith(named if words else "accuracy 0.95 here")


def test_all_that_is_wrong_with_a_model_is_named() -> None:
    edited = metrics_of(GOOD) | {"accuracy": 0.99, "roc_auc": 1.0}
    finding = gate.check_model(GOOD, GOOD, edited, SIDECAR, 0.02, (SLICES, {"judged": 3, "worst_recall": 0.6}))
    assert finding.found == (
        "metrics/evaluate.json does not follow from data/predictions.csv: accuracy is 0.95, not 0.99, roc_auc is 0.95, "
        "not 1.0; metrics/slices.json does not follow from data/predictions.csv: judged is 4, not 3, worst_recall is "
        "0.5, not 0.6. accuracy 0.95 here, 0.99 committed; P(Male) differs by at most 0.0000"
    )
    assert finding.remedy == REPEAT


def test_slices_that_are_not_computed_again_are_named() -> None:
    finding = gate.check_model(GOOD, GOOD, metrics_of(GOOD), SIDECAR, 0.02)
    assert finding.verdict == "pass"
    assert finding.found.endswith("; metrics/slices.json was not computed again, as the attributes are not here")


def test_an_added_or_removed_metric_fails() -> None:
    added = gate.check_model(GOOD, GOOD, metrics_of(GOOD) | {"worst_recall": 1.0}, SIDECAR, 0.02)
    assert added.verdict == "fail"
    assert "worst_recall is not a metric of predictions" in added.found
    fewer = {name: value for name, value in metrics_of(GOOD).items() if name != "accuracy"}
    removed = gate.check_model(GOOD, GOOD, fewer, SIDECAR, 0.02)
    assert removed.verdict == "fail"
    assert "accuracy is 0.95, not None" in removed.found


def test_data_that_is_not_in_the_remote_fails() -> None:
    assert gate.check_remote([]) == ("remote", "pass", "all data of this revision is in the remote", "")
    assert gate.check_remote(["data/a", "data/b"]) == (
        "remote",
        "fail",
        "not in the remote: data/a, data/b",
        "run: dvc push",
    )


def test_only_the_first_of_many_missing_files_are_named() -> None:
    finding = gate.check_remote([f"data/{number}" for number in range(1200)])
    assert finding.found == "not in the remote: data/0, data/1, data/2, data/3, data/4 and 1,195 more"
    assert gate.first_of(["a", "b", "c", "d", "e"]) == "a, b, c, d, e"
    assert gate.first_of(["a", "b", "c", "d", "e", "f"]) == "a, b, c, d, e and 1 more"


def test_predictions_that_contradict_the_threshold_fail() -> None:
    finding = gate.check_model(GOOD, GOOD, metrics_of(GOOD), SIDECAR | {"threshold": 0.9}, 0.02)
    assert "100 images of data/predictions.csv contradict the threshold" in finding.found


@pytest.mark.parametrize(
    ("fresh", "words"),
    [(GOOD[:-1], "199 images with the same label, of 200 and 199"), (GOOD.assign(label=1 - GOOD["label"]), "0 images")],
)
def test_predictions_of_other_images_or_labels_fail(fresh: pd.DataFrame, words: str) -> None:
    finding = gate.check_model(fresh, GOOD, metrics_of(GOOD), SIDECAR, 0.02)
    assert finding[:2] == ("model", "fail")
    assert finding.found.startswith(f"data/predictions.csv and data/preprocessed/test share {words}")
    assert finding.remedy == "run dvc repro --single-item --force evaluate and dvc repro, then commit and push"


def test_an_error_in_a_check_is_a_failure_with_its_remedy() -> None:
    def check() -> Finding:
        raise FacegenderError("models/gender.onnx", "No such file; at all", "run: dvc pull; or more")

    assert gate.run_check("model", check) == (
        "model",
        "fail",
        "models/gender.onnx: No such file; at all",
        "run: dvc pull; or more",
    )


def test_the_details_of_an_error_are_in_the_table() -> None:
    def check() -> Finding:
        raise FacegenderError("a.csv", "2 rows are bad", "fix them", ["row 1: x", "row 2: y"])

    assert gate.run_check("model", check)[2:] == ("a.csv: 2 rows are bad: row 1: x, row 2: y", "fix them")


def test_of_several_errors_the_one_that_suggests_a_name_is_shown() -> None:
    missing = FacegenderError("params.yaml", "a is missing", "look")
    unknown = FacegenderError("params.yaml", "b is unknown", "did you mean a?")

    def check() -> Finding:
        raise FacegenderErrors([missing, unknown])

    assert gate.run_check("lock", check) == ("lock", "fail", "params.yaml: b is unknown", "did you mean a?")


def test_the_table() -> None:
    page = gate.findings_markdown(
        [Finding("lock", "pass", "a | b"), Finding("base", "fail", "c", "d\ne")], ["model", "outs"]
    )
    assert page.splitlines() == [
        "| Check | Verdict | Found | What to do |",
        "| --- | --- | --- | --- |",
        "| lock | pass | a \\| b |  |",
        "| base | fail | c | d e |",
        "",
        "Not checked: model, outs.",
    ]
    assert "Not checked" not in gate.findings_markdown([], [])
