"""The readers of people's own data: which picture has which label, and what cannot be told."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegender.errors import FacegenderError
from facegender.importing.sources import (
    NAMES,
    Found,
    find_kind,
    parse_labels,
    plain_name,
    read_classes,
    read_csv,
    read_utkface,
)


def touch(folder: Path, names: Sequence[str]) -> Path:
    """Make empty files: these readers look at names alone."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def labels(found: Found) -> dict[str, int]:
    return dict(zip(found.pictures["source"], found.pictures["Male"].tolist(), strict=True))


def write_csv(folder: Path, text: str) -> Path:
    path = folder / "faces.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("male", "other"),
    [("male", "female"), ("Man", "Woman"), ("men", "women"), ("Male", "No male"), ("MALE", "No_Male"), ("m", "f")],
)
def test_a_folder_per_class(tmp_path: Path, male: str, other: str) -> None:
    touch(tmp_path, [f"{male}/1.jpg", f"{other}/1.jpg", f"{other}/deep/2.PNG", f"{male}/.hidden.jpg", "notes.txt"])

    found = read_classes(tmp_path)

    assert labels(found) == {f"{male}/1.jpg": 1, f"{other}/1.jpg": 0, f"{other}/deep/2.PNG": 0}
    assert found.problems == []
    assert found.description.endswith("other files passed over: 1 (.txt)")
    assert find_kind(tmp_path) == "classes"
    assert "partition" not in found.pictures


def test_folders_per_partition_hold_folders_per_class(tmp_path: Path) -> None:
    touch(tmp_path, ["Training/male/1.jpg", "Validation/female/2.jpg", "test/female/3.jpg", "male/4.jpg"])

    found = read_classes(tmp_path)

    partitions = dict(zip(found.pictures["source"], found.pictures["partition"], strict=True))
    assert partitions == {"Training/male/1.jpg": 0, "Validation/female/2.jpg": 1, "test/female/3.jpg": 2}
    assert found.problems == ["male/4.jpg: lies in no folder of one partition, as others do"]


def test_other_names_need_the_one_that_is_male(tmp_path: Path) -> None:
    touch(tmp_path, ["train/Herren/1.jpg", "train/Damen/2.jpg", "test/Herren/3.jpg", "test/Damen/4.jpg"])

    with pytest.raises(FacegenderError, match="name the folder that is Male with --male"):
        find_kind(tmp_path)
    assert find_kind(tmp_path, "herren") == "classes"
    found = read_classes(tmp_path, "herren")

    assert list(labels(found).values()) == [0, 1, 0, 1]
    assert [found.pictures["source"][1], found.pictures["partition"][1]] == ["test/Herren/3.jpg", 2]


def test_a_third_folder_beside_the_one_that_is_male_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, ["a/1.jpg", "b/2.jpg", "c/3.jpg"])

    with pytest.raises(FacegenderError, match="--male a: beside it b, c, but there must be one"):
        read_classes(tmp_path, "a")


def test_pictures_outside_the_classes_are_told(tmp_path: Path) -> None:
    touch(tmp_path, ["male/1.jpg", "female/2.jpg", "unsure/3.jpg", "male/female/4.jpg"])

    found = read_classes(tmp_path)

    assert len(found.pictures) == 2
    assert found.problems == [
        "male/female/4.jpg: lies in folders of both classes",
        "unsure/3.jpg: lies in no folder of a class (female, male)",
    ]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    touch(tmp_path, ["male/1.jpg", "female/2.jpg"])
    (tmp_path / "male" / "again").symlink_to(tmp_path)

    assert len(read_classes(tmp_path).pictures) == 2


def test_utkface_codes_male_as_0(tmp_path: Path) -> None:
    # The third name has no race, as three in UTKFace itself.
    touch(
        tmp_path,
        [
            "26_0_2_20170104023102422.jpg",
            "part2/1_1_0_20161219140623097.jpg.chip.jpg",
            "61_1_20170109142408075.jpg",
            "30_2_1_20170104023102422.jpg",
            "9_1_4_20170104023102422 (2).jpg",
        ],
    )

    found = read_utkface(tmp_path)

    assert labels(found) == {
        "26_0_2_20170104023102422.jpg": 1,
        "part2/1_1_0_20161219140623097.jpg.chip.jpg": 0,
        "9_1_4_20170104023102422 (2).jpg": 0,
    }
    assert [problem.split(":")[0] for problem in found.problems] == [
        "30_2_1_20170104023102422.jpg",
        "61_1_20170109142408075.jpg",
    ]
    assert find_kind(tmp_path) == "utkface"


def test_a_source_that_could_be_two_kinds_asks(tmp_path: Path) -> None:
    touch(tmp_path, ["male/1.jpg", "female/2.jpg", "list.csv"])

    with pytest.raises(FacegenderError, match="a folder per class or a csv of path and label; say which with --kind"):
        find_kind(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "path,label\nx/a.jpg,1\nx/b.jpg,0\n",
        "label,path\n1,x/a.jpg\n-1,x/b.jpg\n",
        "image_id,Male\nx/a.jpg,1.0\nx/b.jpg,0.0",
        "\ufefffile,gender\r\nx/a.jpg,Male\r\nx/b.jpg,Female\r\n",
        "File Name,Sex\nx/a.jpg,M\nx/b.jpg, f\n\n",
        'age,filename,class\n3,"x/a.jpg",man\n4,"x\\b.jpg",woman\n',
    ],
)
def test_forms_of_a_csv(tmp_path: Path, text: str) -> None:
    path = write_csv(tmp_path, text)

    found = read_csv(path)

    assert labels(found) == {"x/a.jpg": 1, "x/b.jpg": 0}
    assert found.problems == []
    assert [Path(place) for place in found.pictures["path"]] == [tmp_path / "x" / "a.jpg", tmp_path / "x" / "b.jpg"]
    assert find_kind(path) == find_kind(tmp_path) == "csv"


def test_a_csv_with_everything(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path,
        "image,Male,identity,split,Smiling,height\n"
        "a.jpg,1,Ann Lee,train,-1,3\nb.jpg,-1,,valid,1,x\nc.jpg,-1,7,2,1,\nd.jpg,-1,7,extra,1,\n"
        ",1,7,1,1,\nf.jpg,,7,1,1,\n",
    )

    found = read_csv(path, images=tmp_path / "faces")

    table = found.pictures
    assert list(table["source"]) == ["a.jpg", "b.jpg", "c.jpg"]
    assert table["path"][0] == str(tmp_path / "faces" / "a.jpg")
    assert list(table["person"]) == ["Ann Lee", "", "7"]
    assert list(table["partition"]) == [0, 1, 2]
    assert list(table["Smiling"]) == [0, 1, 1]
    assert "height" not in table
    assert found.problems == [
        "faces.csv line 5: d.jpg: no partition such as train, val, test, 0, 1 or 2",
        "faces.csv line 6: : no path",
        "faces.csv line 7: f.jpg: no label of either class",
    ]


def test_named_columns_and_label(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "img,file,sex,g,who\na.jpg,1,2,herr,P\nb.jpg,2,3,frau,Q\n")

    found = read_csv(path, {"path": "img", "label": "g", "person": "who"}, male="Herr")

    assert labels(found) == {"a.jpg": 1, "b.jpg": 0}
    assert list(found.pictures["person"]) == ["P", "Q"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path;label\na.jpg;1\n", "apart by semicolons or tabs; save it with commas"),
        ("picture,label\na.jpg,1\n", "no column of the path among picture, label; name it with --path-column"),
        ("path,boss\na.jpg,1\n", "no column of the label among path, boss; name it with --label-column"),
        (
            "path,label,gender\na.jpg,1,1\n",
            "label, gender could each be the label; name the right column with --label-",
        ),
        ("path,gender\na.jpg,1\nb.jpg,0\n", "gender is coded in numbers; say which is Male with --male"),
        ("path,label\na.jpg,0\nb.jpg,-1\n", "label is 0 and also -1; use one of them"),
        ("path,label\na.jpg,herr\nb.jpg,frau\n", "label has the labels frau, herr; say which is Male with --male"),
        ("path,label\na.jpg,1\nb.jpg\n", "line 3 has 1 columns in place of 2; correct it"),
        ("path,label,Young\na.jpg,1,7\n", "line 2: Young is '7', must be 1 or -1"),
        ("path,label\n", "holds no rows"),
        ("", "no column of the path"),
        ('path,label\n"a.jpg,1\n', "unexpected end of data; correct it"),
    ],
)
def test_a_csv_that_cannot_be_read_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = write_csv(tmp_path, text)

    with pytest.raises(FacegenderError) as raised:
        read_csv(path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_numbers_of_a_column_gender_go_by_the_option() -> None:
    column = pd.Series(["0", "1", ""])

    assert list(parse_labels(column, "gender", "x.csv", male="0")) == [1, 0, -1]
    with pytest.raises(FacegenderError, match="--male must name one of two"):
        parse_labels(column, "gender", "x.csv", male="2")


@given(st.lists(st.sampled_from(sorted(NAMES)), min_size=1), st.data())
def test_labels_are_told_in_any_case_and_spacing(words: list[str], data: st.DataObject) -> None:
    written = [
        data.draw(st.sampled_from([word, word.upper(), word.title(), f" {word}\t", word.replace(" ", "_")]))
        for word in words
    ]

    read = parse_labels(pd.Series(written), "gender", "x.csv")

    # no, not, female, woman …
    assert list(read) == [0 if word[0] in "nfw" else 1 for word in words]


@given(st.integers())
def test_numbers_keep_their_sign(number: int) -> None:
    assert plain_name(f" {number}.0 ") == str(number)
