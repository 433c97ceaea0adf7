"""The reader of CSV files of paths and labels."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegender.errors import FacegenderError
from facegender.importing.csv_source import parse_labels, read_csv
from facegender.importing.kinds import LABEL_NAMES, plain_name
from facegender.importing.sources import find_kind
from tests.unit.importing.helpers import labels


def write_csv(folder: Path, text: str) -> Path:
    path = folder / "faces.csv"
    path.write_text(text, encoding="utf-8")
    return path


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
def test_usual_forms_of_a_csv_file(tmp_path: Path, text: str) -> None:
    path = write_csv(tmp_path, text)

    found = read_csv(path)

    assert labels(found) == {"x/a.jpg": 1, "x/b.jpg": 0}
    assert found.problems == []
    assert [Path(place) for place in found.images["path"]] == [tmp_path / "x" / "a.jpg", tmp_path / "x" / "b.jpg"]
    assert find_kind(path) == find_kind(tmp_path) == "csv"


def test_a_csv_file_with_every_column(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path,
        "image,Male,identity,split,Smiling,height\n"
        "a.jpg,1,Ann Lee,train,-1,3\nb.jpg,-1,,valid,1,x\nc.jpg,-1,7,2,1,\nd.jpg,-1,7,extra,1,\n"
        ",1,7,1,1,\nf.jpg,,7,1,1,\n",
    )

    found = read_csv(path, image_folder=tmp_path / "faces")

    table = found.images
    assert list(table["source"]) == ["a.jpg", "b.jpg", "c.jpg"]
    assert table["path"][0] == str(tmp_path / "faces" / "a.jpg")
    assert list(table["identity_name"]) == ["Ann Lee", "", "7"]
    assert list(table["partition"]) == [0, 1, 2]
    assert list(table["Smiling"]) == [0, 1, 1]
    assert "height" not in table
    assert found.problems == [
        "faces.csv: line 5: d.jpg: no partition such as train, val, test, 0, 1 or 2",
        "faces.csv: line 6: no path",
        "faces.csv: line 7: f.jpg: no label of either class",
    ]


def test_columns_and_label_of_other_names(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "img,file,sex,g,who\na.jpg,1,2,herr,P\nb.jpg,2,3,frau,Q\n")

    found = read_csv(path, {"path": "img", "label": "g", "identity": "who"}, male="Herr")

    assert labels(found) == {"a.jpg": 1, "b.jpg": 0}
    assert list(found.images["identity_name"]) == ["P", "Q"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path;label\na.jpg;1\n", "separated by semicolons or tabs; save it with commas"),
        ("picture,label\na.jpg,1\n", "no column of the path among picture, label; name it with --path-column"),
        ("path,boss\na.jpg,1\n", "no column of the label among path, boss; name it with --label-column"),
        (
            "path,label,gender\na.jpg,1,1\n",
            "label, gender could each be the label; name the right column with --label-",
        ),
        ("path,gender\na.jpg,1\nb.jpg,0\n", "column gender: coded in numbers; say which number is Male with --male"),
        ("path,label\na.jpg,0\nb.jpg,-1\n", "column label: both 0 and -1; use only one of them"),
        (
            "path,label\na.jpg,herr\nb.jpg,frau\n",
            "has the labels frau, herr; say which is Male with --male",
        ),
        ("path,label\na.jpg,1\nb.jpg\n", "line 3: 1 columns instead of 2; correct it"),
        ("path,label,Young\na.jpg,1,7\n", "line 2: Young is '7', must be 1 or -1"),
        ("path,label\n", "no rows"),
        ("", "no column of the path"),
        ('path,label\n"a.jpg,1\n', "unexpected end of data; correct it"),
    ],
)
def test_mistakes_in_a_csv_file_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = write_csv(tmp_path, text)

    with pytest.raises(FacegenderError) as raised:
        read_csv(path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_numbers_in_a_column_gender_need_the_option_male() -> None:
    column = pd.Series(["0", "1", ""])

    assert list(parse_labels(column, "gender", "x.csv", male="0")) == [1, 0, -1]
    with pytest.raises(FacegenderError, match="--male must name one of two"):
        parse_labels(column, "gender", "x.csv", male="2")


@given(st.lists(st.sampled_from(sorted(LABEL_NAMES)), min_size=1), st.data())
def test_labels_are_recognised_in_any_case_and_spacing(words: list[str], data: st.DataObject) -> None:
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


@pytest.mark.parametrize("blank", ["", "nan", "NaN", "none", "None", "NULL", "n/a", "NA", " nan "])
def test_every_way_to_write_that_a_value_is_not_known_is_blank(blank: str, tmp_path: Path) -> None:
    # UTKFace's and IMDB-WIKI's tables have nan for an unknown gender, beside 1.0 and 0.0.
    rows = [("a", "1.0", "Ann", "train"), ("b", "0.0", blank, "train"), ("c", blank, "Bob", "train")]
    rows += [("d", "1.0", "Bob", blank), (blank, "1.0", "Bob", "train")]
    text = "path,gender,person,split\n" + "".join(",".join(row) + "\n" for row in rows)

    found = read_csv(write_csv(tmp_path, text), male="1")

    assert labels(found) == {"a": 1, "b": 0}
    assert found.images["identity_name"].tolist() == ["Ann", ""]
    assert found.problems == [
        "faces.csv: line 4: c: no label of either class",
        "faces.csv: line 5: d: no partition such as train, val, test, 0, 1 or 2",
        "faces.csv: line 6: no path",
    ]


def test_a_blank_is_no_third_label(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "path,class\na,herr\nb,dame\nc,nan\n")

    assert labels(read_csv(path, male="herr")) == {"a": 1, "b": 0}


def test_what_is_not_a_csv_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        FacegenderError, match=r"faces\.csv: a web page, not a CSV file; download it again, or unpack it"
    ):
        read_csv(write_csv(tmp_path, "<!doctype html>\n<html>"))


@pytest.mark.parametrize(("stored", "listed"), [("jos\u00e9", "jose\u0301"), ("jose\u0301", "jos\u00e9")])
def test_a_path_may_write_accents_in_the_other_form(stored: str, listed: str, tmp_path: Path) -> None:
    (tmp_path / f"{stored}.jpg").touch()

    found = read_csv(write_csv(tmp_path, f"path,Male\n{listed}.jpg,1\nb.jpg,0\n"))

    assert Path(found.images["path"][0]).is_file()
    assert found.images["source"][0] == f"{listed}.jpg"
