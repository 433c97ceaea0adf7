"""Balanced samples of the official partitions, whole partitions, and tables of all images."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from facegender.data.celeba import PARTITIONS
from facegender.errors import FacegenderError
from facegender.preparation.partition import Images, all_rows, drop_shared_identities, sample_splits
from stages.partition import main

COUNTS: dict[str, Images] = {"train": 20, "val": 10, "test": 12}
ALL: dict[str, Images] = dict.fromkeys(PARTITIONS, "all")


def annotations_of(images: int = 300, identities: int | None = None) -> pd.DataFrame:
    """Return partitions and labels in every combination; identities, if any, are spread over the partitions."""
    numbers = np.arange(images)
    table = pd.DataFrame(
        {"Smiling": numbers % 5 == 0, "Male": numbers % 2, "partition": numbers // 2 % 3},
        pd.Index([f"{number:06d}.jpg" for number in numbers + 1], name="image_id"),
    ).astype("int8")
    if identities is not None:
        table["identity"] = np.random.default_rng(0).integers(0, identities, images)
    return table


def test_splits_are_balanced_at_every_even_prefix_and_come_from_their_partition() -> None:
    annotations = annotations_of()
    splits = sample_splits(annotations, COUNTS, seed=120)

    assert list(splits) == ["train", "val", "test"]
    for split, table in splits.items():
        assert list(table.columns) == ["image_id", "label"]
        assert len(table) == COUNTS[split]
        assert list(table["label"]) == [0, 1] * (len(table) // 2)
        rows = annotations.loc[table["image_id"]]
        assert list(rows["Male"]) == list(table["label"])
        assert set(rows["partition"]) == {PARTITIONS[split]}


def test_no_image_is_sampled_twice_even_when_all_are_sampled() -> None:
    splits = sample_splits(annotations_of(300), {"train": 100, "val": 100, "test": 100}, seed=1)

    image_ids = pd.concat(splits)["image_id"]
    assert image_ids.is_unique
    assert set(image_ids) == set(annotations_of(300).index)


def keyed_hash(image_id: str) -> str:
    return hashlib.blake2b(image_id.encode(), digest_size=8, key=(120).to_bytes(8, "little")).hexdigest()


def test_the_order_is_the_keyed_hash_of_the_id() -> None:
    annotations = annotations_of()
    women = annotations.index[(annotations["partition"] == 0) & (annotations["Male"] == 0)]
    expected = sorted(women, key=keyed_hash)

    assert list(sample_splits(annotations, COUNTS, seed=120)["train"]["image_id"][::2]) == expected[:10]


def test_all_is_every_image_of_the_partition_in_hash_order_with_the_classes_mixed() -> None:
    annotations = annotations_of(3000)
    # 500 images of each class in each partition; of the men in train, every fourth stays.
    men = annotations.index[(annotations["partition"] == 0) & (annotations["Male"] == 1)]
    annotations = annotations.drop(men[np.arange(500) % 4 > 0])

    table = sample_splits(annotations, {**COUNTS, "train": "all"}, seed=120)["train"]

    assert list(table["image_id"]) == sorted(annotations.index[annotations["partition"] == 0], key=keyed_hash)
    assert list(table["label"]) == list(annotations.loc[table["image_id"], "Male"])
    # 125 of 625 images: 1 in 5 throughout. A class at the end, or in turn until the men are used up, would show.
    shares = [part["label"].mean() for part in (table[start : start + 125] for start in range(0, 625, 125))]
    assert all(0.1 < share < 0.3 for share in shares)


def test_all_of_one_split_leaves_the_others_alone() -> None:
    before = sample_splits(annotations_of(identities=40), COUNTS, seed=120)

    for whole in PARTITIONS:
        after = sample_splits(annotations_of(identities=40), {**COUNTS, whole: "all"}, seed=120)
        for split in set(PARTITIONS) - {whole}:
            pd.testing.assert_frame_equal(after[split], before[split])


def test_all_leaves_out_only_images_whose_identity_has_more_images_in_another_partition() -> None:
    annotations = annotations_of(60)
    # Every image has an identity of its own, but the first two and the seventh, of train, and the fifth, of test.
    annotations["identity"] = range(100, 160)
    annotations.loc[annotations.index[[0, 1, 6, 4]], "identity"] = 1

    splits = sample_splits(annotations, ALL, seed=120)

    assert sorted(pd.concat(splits)["image_id"]) == [f"{number:06d}.jpg" for number in range(1, 61) if number != 5]


def test_another_seed_samples_other_images() -> None:
    first, same, other = (sample_splits(annotations_of(), COUNTS, seed)["train"] for seed in (1, 1, 2))

    pd.testing.assert_frame_equal(first, same)
    assert set(first["image_id"]) != set(other["image_id"])


@settings(max_examples=20)
@given(shuffle=st.integers(0, 2**32 - 1), identities=st.sampled_from([None, 40]))
def test_the_row_order_does_not_matter(shuffle: int, identities: int | None) -> None:
    annotations = annotations_of(identities=identities)
    shuffled = annotations.sample(frac=1, random_state=shuffle)
    counts: dict[str, Images] = {"train": 10, "val": "all", "test": 6}

    expected = sample_splits(annotations, counts, seed=120)
    for split, table in sample_splits(shuffled, counts, seed=120).items():
        pd.testing.assert_frame_equal(table, expected[split])


HALVES = st.integers(1, 10)


@settings(max_examples=15)
@given(halves=st.tuples(HALVES, HALVES, HALVES), more=st.integers(0, 8), identities=st.sampled_from([None, 40]))
def test_a_larger_sample_begins_with_the_smaller_and_leaves_the_others_alone(
    halves: tuple[int, int, int], more: int, identities: int | None
) -> None:
    annotations = annotations_of(identities=identities)
    counts = {split: 2 * half for split, half in zip(PARTITIONS, halves, strict=True)}
    before = sample_splits(annotations, counts, seed=120)

    for grown in PARTITIONS:
        after = sample_splits(annotations, {**counts, grown: counts[grown] + 2 * more}, seed=120)
        for split in PARTITIONS:
            assert len(after[split]) == counts[split] + 2 * more * (split == grown)
            pd.testing.assert_frame_equal(after[split].head(counts[split]), before[split])


@pytest.mark.parametrize("counts", [COUNTS, {**COUNTS, "train": "all"}, ALL])
def test_no_identity_is_in_two_splits(counts: dict[str, Images]) -> None:
    annotations = annotations_of(identities=40)
    assert (annotations.groupby("identity")["partition"].nunique() > 1).mean() > 0.9

    splits = sample_splits(annotations, counts, seed=120)
    train, val, test = (set(annotations.loc[table["image_id"], "identity"]) for table in splits.values())
    assert not train & val
    assert not train & test
    assert not val & test


def test_each_split_has_the_identities_of_its_images() -> None:
    annotations = annotations_of(identities=40)

    for table in sample_splits(annotations, COUNTS, seed=120).values():
        assert list(table.columns) == ["image_id", "label", "identity"]
        assert table["identity"].dtype == np.int64
        assert list(table["identity"]) == list(annotations.loc[table["image_id"], "identity"])


def test_all_rows_are_sorted_with_their_label_and_identity() -> None:
    annotations = pd.DataFrame(
        {"Smiling": [0, 0, 1], "Male": [1, 0, 0], "identity": [7, 2**40, 7]},
        pd.Index(["c.jpg", "a.jpg", "B.jpg"], name="image_id"),
    ).astype({"Male": "int8"})

    expected = pd.DataFrame({"image_id": ["B.jpg", "a.jpg", "c.jpg"], "label": [0, 0, 1], "identity": [7, 2**40, 7]})
    pd.testing.assert_frame_equal(all_rows(annotations, "more"), expected)
    without = all_rows(annotations.drop(columns="identity"), "more")
    pd.testing.assert_frame_equal(without, expected.drop(columns="identity"))


def test_identities_are_int64_whatever_integers_the_annotations_have() -> None:
    annotations = annotations_of(identities=40).astype({"identity": "int32"})

    assert all_rows(annotations, "more")["identity"].dtype == np.int64
    assert {table["identity"].dtype for table in sample_splits(annotations, COUNTS, seed=1).values()} == {
        np.dtype("int64")
    }


@pytest.mark.parametrize(("label", "missing"), [(0, "Male"), (1, "No male")])
def test_a_further_test_set_of_one_class_is_one_line(label: int, missing: str) -> None:
    annotations = pd.DataFrame({"Male": [label, label]}, pd.Index(["a.jpg", "b.jpg"], name="image_id"))

    with pytest.raises(FacegenderError) as raised:
        all_rows(annotations, "evaluate.datasets.more")
    assert str(raised.value) == (
        f"evaluate.datasets.more: no image is {missing}, but the metrics need both classes; add images of that class, "
        "or remove the data set from params.yaml"
    )


def test_an_identity_stays_where_most_of_its_images_are_and_in_a_tie_in_the_earlier_partition() -> None:
    rows = [
        # identity, partition, stays
        (7, 2, True),
        (7, 2, True),
        (7, 0, False),
        (8, 2, False),
        (8, 1, True),
        (9, 1, False),
        (9, 0, True),
        (10, 1, True),
    ]
    annotations = pd.DataFrame(
        {"identity": [row[0] for row in rows], "partition": [row[1] for row in rows]}, list("abcdefgh")
    )

    stays = [name for name, row in zip("abcdefgh", rows, strict=True) if row[2]]
    assert list(drop_shared_identities(annotations).index) == stays


def test_without_identities_nothing_is_dropped() -> None:
    annotations = annotations_of()
    pd.testing.assert_frame_equal(drop_shared_identities(annotations), annotations)


def test_a_shortage_names_split_class_numbers_and_key() -> None:
    annotations = annotations_of(300)
    some_men = annotations.index[(annotations["partition"] == 1) & (annotations["Male"] == 1)][:44]

    with pytest.raises(FacegenderError) as raised:
        sample_splits(annotations.drop(some_men), {"train": 100, "val": 14, "test": 102}, seed=120)
    assert str(raised.value).splitlines() == [
        "partition.val: 7 images of class Male needed, 6 available; lower it to 12",
        "partition.test: 51 images of class No male needed, 50 available; lower it to 100",
        "partition.test: 51 images of class Male needed, 50 available; lower it to 100",
    ]


@pytest.mark.parametrize(("count", "needed"), [(2, "1 image"), (4, "2 images")])
def test_a_shortage_counts_in_singular_and_plural(count: int, needed: str) -> None:
    annotations = annotations_of(300)
    women = annotations[(annotations["partition"] != 1) | (annotations["Male"] == 0)]
    if needed == "2 images":
        [one_man] = annotations.index[(annotations["partition"] == 1) & (annotations["Male"] == 1)][:1]
        women = annotations.loc[[*women.index, one_man]]

    with pytest.raises(FacegenderError, match=f"^partition.val: {needed} of class Male needed, "):
        sample_splits(women, {**COUNTS, "val": count}, seed=120)


def test_a_class_without_images_needs_images_and_not_a_lower_count() -> None:
    annotations = annotations_of(300)
    only_women = annotations[(annotations["partition"] != 1) | (annotations["Male"] == 0)]

    with pytest.raises(
        FacegenderError, match=r"^partition.val: 5 images of class Male needed, 0 available; add images to the "
    ):
        sample_splits(only_women, COUNTS, seed=120)


@pytest.mark.parametrize(("label", "missing"), [(0, "Male"), (1, "No male")])
def test_all_of_a_partition_needs_both_classes(label: int, missing: str) -> None:
    annotations = annotations_of(300)
    one_class = annotations[(annotations["partition"] != 2) | (annotations["Male"] == label)]

    with pytest.raises(FacegenderError) as raised:
        sample_splits(one_class, ALL, seed=120)
    assert str(raised.value) == (
        f"partition.test: 1 image of class {missing} needed, 0 available; add images to the official partition test"
    )


def lay_out(folder: Path, annotations: pd.DataFrame, counts: dict[str, Images]) -> None:
    """Write the lists, images without content, and a params.yaml for the stage."""
    (folder / "raw" / "images").mkdir(parents=True)
    for image_id in annotations.index:
        (folder / "raw" / "images" / image_id).touch()
    (folder / "raw" / "identity.csv").touch()  # An empty list: identities are not known.
    (2 * annotations[["Male"]] - 1).to_csv(folder / "raw" / "attributes.csv")
    for name in {"partition", "identity"} & set(annotations):
        annotations[[name]].to_csv(folder / "raw" / f"{name}.csv")
    params = yaml.safe_load((Path(__file__).resolve().parents[3] / "params.yaml").read_text(encoding="utf-8"))
    params["dataset"].update(images="raw/images", attributes="raw/attributes.csv", partitions="raw/partition.csv")
    params["dataset"]["identities"] = "raw/identity.csv"
    params["partition"].update(counts)
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


@pytest.mark.parametrize("identities", [None, 1000])
def test_the_stage_writes_what_is_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], identities: int | None
) -> None:
    annotations = annotations_of()
    if identities is not None:
        annotations["identity"] = range(identities, identities + len(annotations))
    lay_out(tmp_path, annotations, COUNTS)
    monkeypatch.chdir(tmp_path)
    main()

    for split, table in sample_splits(annotations, COUNTS, seed=120).items():
        content = (tmp_path / "data" / "partition" / f"{split}.csv").read_bytes()
        rows = [",".join(map(str, row)) + "\n" for row in table.itertuples(index=False)]
        assert content.decode() == "image_id,label" + ",identity" * (identities is not None) + "\n" + "".join(rows)
    known = "unknown" if identities is None else "known"
    shown = ", ".join(f"{count} {split}" for split, count in COUNTS.items())
    assert capsys.readouterr().out == f"partition: {shown} images, identities {known}\n"


def test_the_stage_says_how_many_images_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = annotations_of(60)
    # One identity has 3 images in train and 1 in test; all others have a single image.
    annotations["identity"] = range(100, 160)
    annotations.loc[annotations.index[[0, 1, 6, 4]], "identity"] = 1
    lay_out(tmp_path, annotations, {"train": 4, "val": 4, "test": 4})
    monkeypatch.chdir(tmp_path)
    main()

    out = capsys.readouterr().out
    assert out.splitlines() == [
        "partition: images left out because their identity is in another official partition too: 1",
        "partition: 4 train, 4 val, 4 test images, identities known",
    ]


def test_the_stage_leaves_nothing_behind_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, annotations_of(), {"train": 20, "val": 10, "test": 2000})
    monkeypatch.chdir(tmp_path)

    with pytest.raises(
        SystemExit, match=r"^error: partition.test: 1000 images of class No male needed, 50 available; lower"
    ):
        main()
    assert not (tmp_path / "data").exists()


def renamed(folder: Path, changes: dict[str, str]) -> None:
    for old, new in changes.items():
        (folder / "raw" / "images" / old).rename(folder / "raw" / "images" / new)


def test_the_stage_stops_at_missing_images_unless_they_may_be_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = annotations_of(60)
    lay_out(tmp_path, annotations, {"train": 4, "val": 4, "test": 4})
    monkeypatch.chdir(tmp_path)
    main()
    sampled = pd.read_csv("data/partition/val.csv")["image_id"]
    used = {name for split in PARTITIONS for name in pd.read_csv(f"data/partition/{split}.csv")["image_id"]}
    first, unused = sampled[1], next(name for name in annotations.index if name not in used)
    renamed(tmp_path, {first: "other.jpg", sampled[3]: "another.jpg"})

    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == (
        f"error: raw/images: 2 of the 12 images to use are missing (first: {first}); add them, remove their rows from "
        "the lists, or set preprocess.on_bad_image to skip"
    )

    text = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("on_bad_image: fail", "on_bad_image: skip"), encoding="utf-8")
    capsys.readouterr()
    main()
    assert capsys.readouterr().out == "partition: 4 train, 4 val, 4 test images, identities unknown\n"
    # Only images that are used need to be there.
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    renamed(tmp_path, {"other.jpg": first, "another.jpg": sampled[3], unused: "other.jpg"})
    main()


def test_the_stage_says_that_files_have_other_suffixes_than_the_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = annotations_of(60)
    lay_out(tmp_path, annotations, {"train": 4, "val": 4, "test": 4})
    renamed(tmp_path, {name: name.replace(".jpg", ".png") for name in annotations.index[2:]})
    monkeypatch.chdir(tmp_path)
    main()

    first, _ = capsys.readouterr().out.splitlines()
    assert first == (
        "partition: images whose files have other names than in the lists: 58, such as raw/images/000003.png for "
        "000003.jpg"
    )


def test_one_file_is_not_the_image_of_two_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    annotations = annotations_of(60).rename(index={"000007.jpg": "000008.png"})
    lay_out(tmp_path, annotations, {"train": 4, "val": 4, "test": 4})
    (tmp_path / "raw" / "images" / "000008.png").unlink()
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == (
        "error: raw/images: raw/images/000008.jpg is the only file for 000008.png and 000008.jpg; add the one that is "
        "missing, or remove its row from the lists"
    )


def test_a_further_test_set_is_checked_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, annotations_of(60), {"train": 4, "val": 4, "test": 4})
    params = yaml.safe_load((tmp_path / "params.yaml").read_text(encoding="utf-8"))
    further = {"images": "raw/images", "attributes": "raw/attributes.csv", "identities": "raw/identity.csv"}
    params["evaluate"]["datasets"] = {"further": further}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    main("further")
    renamed(tmp_path, {"000009.jpg": "9.jpg"})

    with pytest.raises(SystemExit, match=r"^error: raw/images: 1 of the 60 images to use are missing \(first: 000009"):
        main("further")
