"""The exploration of the training rows, and its stage."""

import json
import runpy
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from facegender.errors import FacegenderError
from facegender.preparation import eda
from tests.paths import ROOT, SHARED

FACTS = SHARED / "facts" / "celeba_attribute_rates.csv"

ANNOTATIONS = pd.DataFrame(
    [
        ("a.png", 1, 1, 0, 1, 0),
        ("b.png", 1, 0, 1, 1, 0),
        ("c.png", 1, 1, 0, 1, 0),
        ("d.png", 0, 1, 0, 1, 0),
        ("e.png", 0, 1, 0, 1, 0),
        ("f.png", 0, 0, 0, 1, 0),
        ("g.png", 1, 0, 1, 0, 1),
        ("h.png", 0, 1, 1, 0, 2),
    ],
    columns=["image_id", "Male", "Smiling", "Bald", "Young", "partition"],
).set_index("image_id")
TRAINING = eda.training_rows(ANNOTATIONS.astype("int8"))


def test_only_training_rows_and_attributes_stay_sorted_by_id() -> None:
    shuffled = ANNOTATIONS.assign(identity=7).sample(frac=1, random_state=1)
    training = eda.training_rows(shuffled)
    assert list(training.index) == ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"]
    assert list(training.columns) == ["Male", "Smiling", "Bald", "Young"]


def test_no_training_rows_is_one_clear_line() -> None:
    with pytest.raises(FacegenderError, match=r"^dataset\.partitions: no image is in partition 0 \(train\); use"):
        eda.training_rows(ANNOTATIONS.assign(partition=2))


def test_describe_gives_types_values_and_statistics_without_gaps() -> None:
    table = eda.describe(TRAINING).set_index("attribute")
    assert table["type"].tolist() == ["int8"] * 4
    assert table["values"].tolist() == ["0 1", "0 1", "0 1", "1"]
    assert table["count"].tolist() == [6] * 4
    assert table["mean"].tolist() == [0.5, 0.666667, 0.166667, 1]
    # Sample deviation of three ones and three zeros: sqrt(6 * 0.25 / 5).
    assert table.at["Male", "std"] == pytest.approx(0.3**0.5, abs=1e-6)
    assert table[["min", "25%", "50%", "75%", "max"]].T["Smiling"].tolist() == [0, 0.25, 1, 1, 1]
    assert not eda.describe(TRAINING.head(1)).isna().to_numpy().any()


def test_balance_counts_both_classes() -> None:
    table = eda.balance(TRAINING.head(5))
    assert table.to_dict("list") == {"class": ["No male", "Male"], "images": [2, 3], "rate": [0.4, 0.6]}


def test_rates_are_ranked_with_ties_sorted_by_name() -> None:
    table = eda.rates(TRAINING.assign(Attractive=TRAINING["Male"]))
    assert table["attribute"].tolist() == ["Young", "Smiling", "Attractive", "Male", "Bald"]
    assert table["rate"].tolist() == [1, 0.666667, 0.5, 0.5, 0.166667]


def test_correlation_is_as_worked_out_by_hand_and_a_constant_attribute_has_none() -> None:
    matrix = eda.correlation(TRAINING)
    assert matrix.at["Male", "Smiling"] == 0
    assert matrix.at["Male", "Bald"] == pytest.approx(3 / 45**0.5, abs=1e-6)
    assert matrix.at["Smiling", "Bald"] == pytest.approx(-4 / 40**0.5, abs=1e-6)
    assert np.array_equal(matrix, matrix.T)
    assert np.diag(matrix).tolist() == [1, 1, 1, 0]
    assert not matrix["Young"].any()
    assert eda.constant_attributes(TRAINING) == ["Young"]


def test_correlation_is_pearsons() -> None:
    values = np.random.default_rng(5).integers(0, 2, (1000, 4))
    values[:, 1] |= values[:, 0]
    table = pd.DataFrame(values, columns=list("abcd"), dtype="int8")
    assert eda.correlation(table).to_numpy() == pytest.approx(np.corrcoef(values.T), abs=1e-6)


def test_correlation_and_rates_agree_with_known_values_of_celeba() -> None:
    if not FACTS.exists():
        pytest.skip(f"needs {FACTS}")
    facts = pd.read_csv(FACTS, index_col="attribute")
    males, images, training_images = facts["all_pos"].astype(int).loc["Male"], 202_599, 162_770
    row = np.arange(images)
    male = row < males
    # As many images with each attribute among Male and among No male as in CelebA, in any order.
    table = pd.DataFrame({"Male": male.astype("int8")})
    for name, fact in facts.drop("Male").iterrows():
        with_male = round(fact["rate_given_male"] * males)
        without = int(fact["all_pos"]) - with_male
        table[str(name)] = np.where(male, row < with_male, row - males < without).astype("int8")
    assert len(table.columns) == 40
    known = facts["corr_with_Male"].reindex(table.columns)
    assert eda.correlation(table)["Male"].to_numpy() == pytest.approx(known.to_numpy(), abs=2e-6)

    positives = facts["train_pos"].to_numpy()
    training = pd.DataFrame(np.arange(training_images)[:, None] < positives, columns=facts.index).astype("int8")
    rates = eda.rates(training).set_index("attribute")["rate"].reindex(facts.index)
    assert rates.to_numpy() == pytest.approx(facts["train_rate"].to_numpy(), abs=1e-6)
    assert rates["Male"] == pytest.approx(0.4194, abs=5e-5)


def test_long_form_has_every_cell_sorted() -> None:
    table = eda.long_form(eda.correlation(TRAINING))
    names = sorted(TRAINING.columns)
    assert table["attribute"].tolist() == [name for name in names for _ in names]
    assert table["other"].tolist() == names * 4
    cell = table[(table["attribute"] == "Bald") & (table["other"] == "Smiling")]
    assert cell["correlation"].tolist() == pytest.approx([-4 / 40**0.5], abs=1e-6)


def test_pairs_are_ranked_by_size_each_once_with_ties_sorted_by_name() -> None:
    pairs = eda.ranked_pairs(eda.correlation(TRAINING))
    assert pairs[["attribute", "other"]].agg("~".join, axis=1).tolist() == [
        "Bald~Smiling",
        "Bald~Male",
        "Bald~Young",
        "Male~Smiling",
        "Male~Young",
        "Smiling~Young",
    ]
    assert pairs["correlation"].tolist() == [-0.632456, 0.447214, 0, 0, 0, 0]


def _png(height: int, width: int, channels: int) -> bytes:
    return bytes(cv2.imencode(".png", np.zeros((height, width, channels), dtype=np.uint8))[1])


def _claiming(png: bytes, side: int) -> bytes:
    """Write another height and width into a PNG's header: 13 bytes from the 17th on, before their checksum."""
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + png[24:29]
    return png[:12] + header + zlib.crc32(header).to_bytes(4, "big") + png[33:]


def test_image_sizes_are_those_of_the_files_and_unreadable_files_are_counted() -> None:
    pictures = {"grey": _png(10, 20, 1), "colour": _png(30, 15, 3), "alpha": _png(12, 12, 4)}
    files = pictures | {"empty": b"", "text": b"no", "huge": _claiming(_png(1, 1, 3), 60_000)}

    def read(image_id: str) -> bytes:
        if image_id not in files:
            raise FacegenderError(image_id, "no such image", "add it")
        return files[image_id]

    assert eda.image_sizes([*files, "missing"], read) == {
        "sampled": 7,
        "unreadable": 4,
        "height": {"min": 10, "max": 30},
        "width": {"min": 12, "max": 20},
        "channels": {"1": 1, "3": 1, "4": 1},
    }
    with pytest.raises(
        FacegenderError,
        match=r"^dataset\.images: none of the 3 training images .*first: (missing|empty|text)\); ",
    ):
        eda.image_sizes(["missing", "empty", "text"], read)


def test_image_sizes_read_the_same_sample_for_any_order_of_rows() -> None:
    image_ids = [f"{number:06}.jpg" for number in range(300)]
    seen: list[list[str]] = [[], []]
    for ids, log in zip((image_ids, image_ids[::-1]), seen, strict=True):
        eda.image_sizes(ids, lambda image_id, log=log: log.append(image_id) or _png(2, 2, 3), count=40)  # type: ignore[misc]
    assert seen[0] == seen[1]
    assert len(seen[0]) == 40
    # Not neighbours in the list, since these may show the same identity.
    assert seen[0] != sorted(seen[0])
    assert max(seen[0]) > "000250.jpg"


def _shade(image_id: str) -> np.ndarray:
    return np.full((2, 2, 3), ord(image_id[0]), dtype=np.uint8)


def test_examples_are_balanced_and_captioned_with_their_own_attributes() -> None:
    images, captions = eda.examples(TRAINING, _shade, 5)
    assert [caption.split(": ")[0] for caption in captions] == ["No male"] * 3 + ["Male"] * 2
    for image, caption in zip(images, captions, strict=True):
        name, attributes = caption.split("\n")
        image_id = name.split(": ")[1]
        assert image[0, 0, 0] == ord(image_id[0])
        row = TRAINING.loc[image_id].drop("Male")
        assert attributes.split(", ") == list(row.index[row.to_numpy() == 1])


def test_examples_do_not_depend_on_the_order_of_rows() -> None:
    assert eda.examples(TRAINING, _shade, 2)[1] == eda.examples(TRAINING[::-1], _shade, 2)[1]


def test_an_example_that_cannot_be_read_is_replaced_by_the_next() -> None:
    chosen = eda.examples(TRAINING, _shade, 2)[1][0].split("\n")[0].removeprefix("No male: ")

    def read(image_id: str) -> np.ndarray:
        if image_id == chosen:
            raise FacegenderError(image_id, "damaged", "get it again")
        return _shade(image_id)

    captions = eda.examples(TRAINING, read, 100)[1]
    assert len(captions) == 5
    assert not any(chosen in caption for caption in captions)


def _run_stage(folder: Path, annotations: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    images = folder / "images"
    images.mkdir(parents=True)
    for image_id in annotations.index:
        (images / str(image_id)).write_bytes(_png(218, 178, 3))
    annotations.drop(columns="partition").to_csv(folder / "attributes.csv")
    annotations["partition"].to_csv(folder / "partitions.csv")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["dataset"] |= {"images": "images", "attributes": "attributes.csv", "partitions": "partitions.csv"}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    monkeypatch.chdir(folder)
    runpy.run_path(str(ROOT / "stages" / "eda.py"), run_name="__main__")
    outs = [path for name in ("data", "metrics") for path in (folder / name).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in outs}


def test_stage_writes_the_same_bytes_for_any_content_of_the_other_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _run_stage(tmp_path / "first", ANNOTATIONS, monkeypatch)
    changed = ANNOTATIONS.copy()
    held_out = changed["partition"] > 0
    attributes = changed.columns.drop("partition")
    changed.loc[held_out, attributes] = 1 - changed.loc[held_out, attributes]
    changed.loc["i.png"] = [1, 1, 1, 0, 2]
    second = _run_stage(tmp_path / "second", changed.astype(int)[::-1], monkeypatch)
    assert first == second
    faces = [name for name in first if name.startswith("data/eda/examples/")]
    assert sorted(set(first) - set(faces)) == [
        *(f"data/eda/{name}.csv" for name in ("balance", "correlation", "describe", "pairs", "rates")),
        "metrics/eda.json",
        *(f"metrics/plots/eda/{name}.png" for name in ("balance", "correlation", "examples", "rates")),
    ]
    metrics = json.loads(first["metrics/eda.json"])
    assert metrics["training"] == {"rows": 6, "male": 3, "no_male": 3, "male_rate": 0.5, "constant_attributes": 1}
    assert metrics["images"]["sampled"] == 6
    assert "Bald,Smiling,-0.632456" in first["data/eda/pairs.csv"].decode()
