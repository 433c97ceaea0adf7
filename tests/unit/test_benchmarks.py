"""The parts of the benchmarks that decide what their tables say."""

import base64
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.cluster_simulation import Costs, simulated_seconds
from benchmarks.damaged_jpegs import VERDICTS, verdict
from benchmarks.measure import Run, Stage, argument_parser, change_params, read_params, settings
from benchmarks.peer_workers.age_and_gender_worker import largest
from benchmarks.peers import (
    BOTH,
    DETECTOR,
    FACE_BOX,
    NPM_FOLDERS,
    Peer,
    Row,
    answers_of,
    ask,
    installed_version,
    npm_peer,
    peer_predictions,
    peer_rows,
    peers_table,
    probability_text,
    read_pixels,
    request_line,
    with_both,
)
from benchmarks.recipes import RECIPES, chosen_recipes, inputs, is_measured, read_results, result_of, results_table
from facegender.data.images import Pixels, encode_jpeg
from facegender.errors import FacegenderError
from facegender.evaluation.bootstrap import metrics_with_interval
from facegender.files import write_json
from tests.paths import ROOT
from tests.predictions import predictions

ECHO = (
    "import base64, json, sys\n"
    "ways = json.loads(sys.stdin.readline())\n"
    "for number, line in enumerate(sys.stdin):\n"
    "    image = json.loads(line)\n"
    "    assert number < int(sys.argv[1])\n"
    "    red = base64.b64decode(image['pixels'])[0] / 100\n"
    "    answer = {'male': red > 0.5, 'probability': red, 'seconds': 0.5}\n"
    "    print(json.dumps({way: answer for way in ways}), flush=True)\n"
)
"""A worker whose answer is the image's first byte as a percentage. It fails after as many images as it is told to."""


class Images:
    """A source of one-coloured images whose red is the number in their name."""

    def find(self, image_id: str) -> str | None:
        return image_id

    def read(self, image_id: str) -> bytes:
        """Return a JPEG."""
        return encode_jpeg(np.full((8, 8, 3), int(image_id.partition(".")[0]), np.uint8))


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """Write ECHO to a file."""
    path = tmp_path / "worker.py"
    path.write_text(ECHO, encoding="utf-8")
    return path


def echo(worker: Path, limit: int, version: str = "1.0") -> Peer:
    """Return a peer whose worker is ECHO."""
    check = [sys.executable, "-c", f"print('{version}')"]
    return Peer("echo", [sys.executable, str(worker), str(limit)], worker, check, "install it", {DETECTOR: None})


def answer(probability: float | None, seconds: float) -> dict[str, Any]:
    """Return an answer whose decision follows from the probability."""
    male = None if probability is None else probability > 0.5
    return {"male": male, "probability": probability, "seconds": seconds}


def answers(probabilities: list[float | None]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return answers that took half a second each, for images that count from 0."""
    return {
        f"{number:04}.jpg": {DETECTOR: answer(probability, 0.5)} for number, probability in enumerate(probabilities)
    }


@pytest.mark.parametrize(
    ("boxes", "index"),
    [
        ([[0, 0, 9, 9]], 0),
        # 10 x 10 pixels, 20 x 6, 119 x 1.
        ([[0, 0, 9, 9], [30, 30, 49, 35], [0, 0, 118, 0]], 1),
    ],
)
def test_the_largest_face_counts(boxes: list[list[int]], index: int) -> None:
    assert largest(boxes) == index


def test_an_image_without_a_face_is_wrong_whatever_its_label() -> None:
    product = predictions([True] * 4)  # Labels 0, 1, 0, 1.

    table, found = peer_predictions(product, answers([None, None, 0.2, 0.9]), DETECTOR)

    assert table["predicted"].tolist() == [1, 0, 0, 1]
    assert table["probability"].tolist() == [0.5, 0.5, 0.2, 0.9]
    assert found.tolist() == [False, False, True, True]


def test_the_decision_is_the_peers_own() -> None:
    given = answers([0.5, 0.5])
    given["0000.jpg"][DETECTOR]["male"] = True

    table, _ = peer_predictions(predictions([True] * 2), given, DETECTOR)

    assert table["predicted"].tolist() == [1, 0]


def test_the_face_box_serves_where_the_detector_misses_the_face() -> None:
    given = {
        "seen.jpg": {DETECTOR: answer(0.9, 1), FACE_BOX: answer(0.2, 4)},
        "missed.jpg": {DETECTOR: answer(None, 1), FACE_BOX: answer(0.2, 4)},
    }

    both = with_both(given)

    assert both["seen.jpg"] == {**given["seen.jpg"], BOTH: answer(0.9, 1)}
    assert both["missed.jpg"][BOTH] == answer(0.2, 5)
    assert with_both(answers([0.1])) == answers([0.1])


def test_answers_are_matched_to_the_product_by_image_id() -> None:
    product = predictions([True] * 4).iloc[[3, 0, 2, 1]]

    table, _ = peer_predictions(product, answers([0.0, 0.6, 0.2, 0.9]), DETECTOR)

    assert dict(zip(table["image_id"], table["probability"], strict=True)) == {
        "0000.jpg": 0.0,
        "0001.jpg": 0.6,
        "0002.jpg": 0.2,
        "0003.jpg": 0.9,
    }


def test_a_peer_is_compared_on_all_images_and_on_those_with_a_face() -> None:
    product = predictions([True, True, True, True, False, False, True, True])
    # Right, right, no face, wrong; right, wrong, right, right.
    given = answers([0.1, 0.9, None, 0.1, 0.1, 0.1, 0.1, 0.9])

    on_all, with_a_face = peer_rows("peer", product, given, DETECTOR)

    assert (on_all.images, on_all.faceless, on_all.metrics["value"]["accuracy"]) == (8, 1, 0.625)
    assert on_all.comparison is not None
    assert on_all.comparison["mcnemar"]["only_new_right"] == 2  # The product's: no face, and wrong.
    assert on_all.comparison["mcnemar"]["only_old_right"] == 1
    assert on_all.rate == 2
    assert (with_a_face.images, with_a_face.metrics["value"]["accuracy"]) == (7, pytest.approx(5 / 7, abs=1e-6))
    assert with_a_face.comparison is not None
    assert with_a_face.comparison["mcnemar"]["only_new_right"] == 1
    assert with_a_face.comparison["metrics"]["accuracy"]["new"] == pytest.approx(5 / 7, abs=1e-6)


def test_a_peer_that_finds_every_face_has_one_row() -> None:
    product = predictions([True] * 4)

    (row,) = peer_rows("peer", product, answers([0.1, 0.9, 0.1, 0.1]), DETECTOR)

    table = peers_table([Row("the product", 4, None, metrics_with_interval(product, 100, 0), None, None), row])
    ours, theirs = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:])
    assert ours[:3] == ["the product", "4", ""]
    assert theirs[:3] == ["peer, own detector", "4", "0"]
    assert theirs[3].startswith("0.7500 (")
    assert theirs[5] == "2.0"
    assert theirs[6].startswith("+0.2500 (")
    assert theirs[7:] == ["1", "0", "1.0000"]


def test_a_p_value_is_never_shown_as_zero() -> None:
    assert [probability_text(value) for value in (0.0, 0.00009, 0.0123, 1.0)] == [
        "<0.0001",
        "<0.0001",
        "0.0123",
        "1.0000",
    ]


def test_a_worker_gets_the_pixels_row_by_row() -> None:
    pixels: Pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)

    request = json.loads(request_line(pixels))

    assert (request["height"], request["width"]) == (2, 4)
    assert list(base64.b64decode(request["pixels"])) == list(range(24))


def test_only_images_of_the_aligned_size_suit_the_face_box() -> None:
    assert read_pixels(Images(), "7.jpg", aligned=False).shape == (8, 8, 3)
    with pytest.raises(FacegenderError, match="8x8 pixels, not the 178x218"):
        read_pixels(Images(), "7.jpg", aligned=True)


def test_a_worker_that_stops_is_named_with_its_image(worker: Path) -> None:
    asked = ask(echo(worker, 1), ["10.jpg", "20.jpg"], lambda image_id: read_pixels(Images(), image_id, aligned=False))

    assert next(asked) == ("10.jpg", {DETECTOR: answer(0.1, 0.5)})
    with pytest.raises(FacegenderError, match=r"echo: 20\.jpg: its process stopped"):
        next(asked)


def test_an_interrupted_peer_continues_with_the_images_that_are_left(worker: Path, tmp_path: Path) -> None:
    with pytest.raises(FacegenderError):
        answers_of(echo(worker, 2), ["10.jpg", "20.jpg", "30.jpg", "40.jpg"], Images(), tmp_path)
    kept = tmp_path / "echo.jsonl"
    # As if the run had been killed in the middle of a line.
    lines = kept.read_text(encoding="utf-8")
    kept.write_text(lines + '["0123456789abcdef", {"own', encoding="utf-8")

    # Two more images, no more.
    found = answers_of(echo(worker, 2), ["40.jpg", "10.jpg", "20.jpg", "30.jpg"], Images(), tmp_path)

    assert [(image_id, ways[DETECTOR]["probability"]) for image_id, ways in found.items()] == [
        ("40.jpg", 0.4),
        ("10.jpg", 0.1),
        ("20.jpg", 0.2),
        ("30.jpg", 0.3),
    ]
    assert kept.read_text(encoding="utf-8").startswith(lines)
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 4
    # None at all.
    assert answers_of(echo(worker, 0), ["30.jpg"], Images(), tmp_path) == {"30.jpg": found["30.jpg"]}


def test_kept_answers_count_only_for_the_same_image_ways_worker_and_version(worker: Path, tmp_path: Path) -> None:
    class OtherImages(Images):
        """Other images with the same ids."""

        def read(self, image_id: str) -> bytes:
            """Return the JPEG whose red is one more."""
            return super().read(f"{int(image_id.partition('.')[0]) + 1}.jpg")

    def probability(peer: Peer, source: Images) -> float:
        return float(answers_of(peer, ["10.jpg"], source, tmp_path)["10.jpg"][DETECTOR]["probability"])

    peer, never = echo(worker, 1), echo(worker, 0)
    assert probability(peer, Images()) == 0.1
    assert probability(peer, OtherImages()) == 0.11
    assert probability(never, Images()) == 0.1  # What was known is still known.
    for other in (echo(worker, 0, version="2.0"), never._replace(ways={FACE_BOX: None})):
        with pytest.raises(FacegenderError, match="its process stopped"):
            answers_of(other, ["10.jpg"], Images(), tmp_path)
    worker.write_text(ECHO.replace("/ 100", "/ 200"), encoding="utf-8")
    assert probability(peer, Images()) == 0.05


def test_answers_that_were_kept_by_image_id_do_not_count(worker: Path, tmp_path: Path) -> None:
    (tmp_path / "echo.jsonl").write_text(json.dumps(["10.jpg", {DETECTOR: answer(0.9, 1)}]) + "\n", encoding="utf-8")

    assert answers_of(echo(worker, 1), ["10.jpg"], Images(), tmp_path) == {"10.jpg": {DETECTOR: answer(0.1, 0.5)}}


@pytest.mark.parametrize("check", [[sys.executable, "-c", "import no_such_package"], ["./no-such-python", "-c", ""]])
def test_a_missing_peer_says_how_to_install_it(check: list[str], worker: Path) -> None:
    with pytest.raises(FacegenderError, match="install it"):
        installed_version(echo(worker, 0)._replace(check=check))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_versions_of_npm_packages_are_found_in_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / """it's a "folder" ${1} \\"""
    for number, name in enumerate(NPM_FOLDERS):
        (folder / "node_modules" / name).mkdir(parents=True)
        (folder / "node_modules" / name / "package.json").write_text(f'{{"version": "{number}.0"}}', encoding="utf-8")

    assert installed_version(npm_peer("human", folder)).split() == [
        word for number, name in enumerate(NPM_FOLDERS) for word in (name, f"{number}.0")
    ]
    shutil.rmtree(folder / "node_modules" / NPM_FOLDERS[-1])
    with pytest.raises(FacegenderError, match="npm install"):
        installed_version(npm_peer("human", folder))


def test_recipes_are_chosen_by_name_with_changes() -> None:
    first, *_, last = RECIPES

    assert list(chosen_recipes([last, first], {})) == [last, first]
    assert chosen_recipes([], {}) == RECIPES
    assert chosen_recipes([first], {"train.epochs": 77})[first] == {**RECIPES[first], "train.epochs": 77}
    with pytest.raises(FacegenderError, match="no recipe 'other'"):
        chosen_recipes([first, "other"], {})


def test_one_recipe_is_that_of_celeba_s_params() -> None:
    shipped = yaml.safe_load((ROOT / "params" / "celeba.yaml").read_text(encoding="utf-8"))
    recipe = RECIPES["whole, 5 epochs, strong, reg, as in params/celeba.yaml"]

    assert {key: shipped[key.split(".")[0]][key.split(".")[1]] for key in recipe} == recipe | {
        "partition.val": 6000,
        "partition.test": 6000,
    }
    of_training = {f"{group}.{key}" for group in ("augment", "train") for key in shipped[group]}
    assert {key for key in of_training - set(recipe) if not key.endswith(".seed")} == set()


def test_a_result_counts_only_for_its_whole_params_yaml_and_the_content_of_the_weights(tmp_path: Path) -> None:
    params, weights, results = tmp_path / "params.yaml", tmp_path / "weights.h5", tmp_path / "results.json"
    params.write_text(
        "train: {epochs: 3, learning_rate: 0.0003, seed: 120}\nevaluate: {datasets: {}}\n", encoding="utf-8"
    )
    weights.write_bytes(b"weights")
    write_json(results, {"recipe": {**inputs(tmp_path, str(weights)), "accuracy": 0.9}})
    kept = read_results(results)["recipe"]

    assert is_measured(kept, inputs(tmp_path, str(weights)))
    assert not is_measured(kept, inputs(tmp_path, "imagenet"))
    weights.write_bytes(b"others")
    assert not is_measured(kept, inputs(tmp_path, str(weights)))
    weights.write_bytes(b"weights")
    change_params(tmp_path, {"train.seed": 121})
    assert not is_measured(kept, inputs(tmp_path, str(weights)))
    # Of an older form.
    assert not is_measured({"parameters": {}, "weights": str(weights)}, inputs(tmp_path, str(weights)))


def test_kept_results_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert read_results(path) == {}
    path.write_text('{"one": {"weights": "imagenet"}}', encoding="utf-8")
    assert read_results(path) == {"one": {"weights": "imagenet"}}
    path.write_text('{"one": ', encoding="utf-8")
    with pytest.raises(FacegenderError, match="not JSON"):
        read_results(path)


def test_a_recipes_figures_come_from_the_metrics_and_the_run(tmp_path: Path) -> None:
    files = {
        "metrics/evaluate.json": {"accuracy": 0.97, "roc_auc": 0.996, "expected_calibration_error": 0.0123},
        "metrics/train/metrics.json": {"eval": {"accuracy": 0.5}, "best": {"val_accuracy": 0.98}},
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "metrics" / "evaluate.csv").write_text("metric,value,low,high\naccuracy,0.97,0.965,0.974\n")
    (tmp_path / "data" / "partition").mkdir(parents=True)
    (tmp_path / "data" / "partition" / "train.csv").write_text("image_id,label\n1.jpg,0\n2.jpg,1\n", encoding="utf-8")
    run = Run(300, 2_000_000_000, [Stage("features@train", 30, 1), Stage("train", 120, 2)], "")

    result = {**result_of(tmp_path, run), "commit": "abc1234"}

    cells = [cell.strip() for cell in results_table({"a recipe": result}).splitlines()[2].split("|")[1:-1]]
    expected = [
        "a recipe",
        "2",
        "0.9800",
        "0.9700 (0.9650 to 0.9740)",
        "0.9960",
        "0.0123",
        "2.0 min",
        "5.0 min",
        "2,000 MB",
        "abc1234",
    ]
    assert cells == expected


def test_parameters_are_changed_by_dotted_key(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train: {epochs: 1, seed: 2}\n", encoding="utf-8")

    change_params(tmp_path, {"train.epochs": 3})

    assert read_params(tmp_path) == {"train": {"epochs": 3, "seed": 2}}
    for unknown in ("train.epoch", "training.epochs", "train"):
        with pytest.raises(FacegenderError, match="no such parameter"):
            change_params(tmp_path, {unknown: 1})


def test_settings_that_are_given_one_by_one_all_count() -> None:
    options = argument_parser(None, "set").parse_args(["--set", "a.b=1", "c.d=x", "--set", "e.f=true"])

    assert settings(options.set) == {"a.b": 1, "c.d": "x", "e.f": True}


def test_damage_is_told_apart_by_what_shows_it() -> None:
    jpeg = encode_jpeg(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    other = encode_jpeg(np.zeros((64, 64, 3), np.uint8))

    found = [verdict(jpeg, copy) for copy in (jpeg[:-9], jpeg[:-2] + bytes(50) + jpeg[-2:], other, jpeg + b"after")]

    assert found == list(VERDICTS)


@pytest.mark.parametrize(
    ("count", "workers", "costs", "seconds"),
    [
        # Two workers do two tasks of a second each after the start.
        (4, 2, Costs([1], 0, 2, 0), 4),
        # Ten workers wait for this machine, which sends the tenth task after 5 s.
        (10, 10, Costs([1], 0.5, 0, 0), 6),
        # The same time is spent by 625 MB on a network of 1.25 GB/s.
        (10, 10, Costs([1], 0, 0, 625e6), 6),
        # One worker, two tasks in flight: this machine sends the third when the first has ended, at 1.1 s.
        (3, 1, Costs([1], 0.1, 0, 0), 3.1),
    ],
)
def test_a_simulated_cluster_takes_the_time_worked_out_by_hand(
    count: int, workers: int, costs: Costs, seconds: float
) -> None:
    assert simulated_seconds(count, workers, costs) == pytest.approx(seconds)
