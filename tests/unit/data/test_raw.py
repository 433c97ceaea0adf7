"""The readers of the raw lists and images."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegender.data.celeba import ATTRIBUTES
from facegender.data.raw import open_images, read_annotations, read_attributes, read_identities, read_partitions
from facegender.errors import FacegenderError
from tests.paths import SHARED

# Smiling and Male of three images.
EXPECTED = {"000001.jpg": (1, 0), "000002.jpg": (0, 0), "000003.jpg": (1, 1)}

ATTRIBUTE_FORMS = {
    "kaggle csv": b"image_id,Smiling,Male\r\n000001.jpg,1,-1\r\n000002.jpg,-1,-1\r\n000003.jpg,1,1\r\n",
    "no final newline": b"image_id,Smiling,Male\r\n000001.jpg,1,-1\r\n000002.jpg,-1,-1\r\n000003.jpg,1,1",
    "line feeds": b"image_id,Smiling,Male\n000001.jpg,1,-1\n000002.jpg,-1,-1\n000003.jpg,1,1\n",
    "carriage returns": b"image_id,Smiling,Male\r000001.jpg,1,-1\r000002.jpg,-1,-1\r000003.jpg,1,1\r",
    "byte order mark": b"\xef\xbb\xbfimage_id,Smiling,Male\n000001.jpg,1,-1\n000002.jpg,-1,-1\n000003.jpg,1,1\n",
    "0 and 1": b"image_id,Smiling,Male\n000001.jpg,1,0\n000002.jpg,0,0\n000003.jpg,1,1\n",
    "unnamed first column": b",Smiling,Male\n000001.jpg,1,-1\n000002.jpg,-1,-1\n000003.jpg,1,1\n",
    "unnamed, byte order mark": b"\xef\xbb\xbf,Smiling,Male\n000001.jpg,1,0\n000002.jpg,0,0\n000003.jpg,1,1\n",
    "quoted": b'"","Smiling","Male"\n"000001.jpg",1,-1\n"000002.jpg",-1,-1\n"000003.jpg",1,1\n',
    "spaces after commas": b"image_id, Smiling, Male\n000001.jpg, 1, -1\n000002.jpg, -1, -1\n000003.jpg, 1, 1\n",
    "written as floats": b"image_id,Smiling,Male\n000001.jpg,1.0,0.0\n000002.jpg,0.0,0.0\n000003.jpg,1.0,1.0\n",
    "blank lines at the end": b"image_id,Smiling,Male\n000001.jpg,1,-1\n000002.jpg,-1,-1\n000003.jpg,1,1\n\n \n",
    "original txt": b"3\r\nSmiling Male \r\n000001.jpg  1 -1\r\n000002.jpg -1 -1\r\n000003.jpg  1  1\r\n",
    "no count line": b"Smiling Male \r\n000001.jpg  1 -1\r\n000002.jpg -1 -1\r\n000003.jpg  1  1\r\n",
    "wrong count line": b"202599\nSmiling Male\n000001.jpg  1 -1\n000002.jpg -1 -1\n000003.jpg  1  1",
    "txt with an id column": b"3\nimage_id Smiling Male\n000001.jpg  1 -1\n000002.jpg -1 -1\n000003.jpg  1  1\n",
    "txt of 0 and 1": b"3\nSmiling Male \n000001.jpg 1 0 \n000002.jpg 0 0 \n000003.jpg 1 1 \n",
    "csv with a count line": b"3\nimage_id,Smiling,Male\n000001.jpg,1,-1\n000002.jpg,-1,-1\n000003.jpg,1,1\n",
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write_list(content: bytes, name: str = "list") -> Path:
        # A suffix that fits no form: the content alone tells.
        path = tmp_path / "Ünï codé, folder" / f"{name}.dat"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    return write_list


@pytest.mark.parametrize("form", ATTRIBUTE_FORMS)
def test_every_form_of_the_attribute_list_reads_the_same(form: str, write: Callable[..., Path]) -> None:
    table = read_attributes(write(ATTRIBUTE_FORMS[form]))

    assert list(table.columns) == ["Smiling", "Male"]
    assert table.index.name == "image_id"
    assert {image_id: tuple(row) for image_id, row in zip(table.index, table.to_numpy(), strict=True)} == EXPECTED
    assert list(table.index) == list(EXPECTED)
    assert set(table.dtypes) == {np.dtype("int8")}


PAIR_FORMS = {
    "kaggle csv": "image_id,{name}\r\n000001.jpg,0\r\n000003.jpg,2\r\n000002.jpg,1\r\n",
    "csv without header": "000001.jpg,0\n000003.jpg,2\n000002.jpg,1",
    "unnamed first column": ",{name}\n000001.jpg,0\n000003.jpg,2\n000002.jpg,1",
    "original txt": "000001.jpg 0\r\n000003.jpg 2\r\n000002.jpg 1\r\n",
    "txt with header": "image_id {name}\n000001.jpg 0\n000003.jpg 2\n000002.jpg 1\n",
    "count line": "3\n000001.jpg   0\n000003.jpg 2\n000002.jpg 1\n",
    "byte order mark": "\ufeff000001.jpg 0\n000003.jpg 2\n000002.jpg 1\n",
}


@pytest.mark.parametrize(
    ("read", "name", "dtype"), [(read_partitions, "partition", "int8"), (read_identities, "identity", "int64")]
)
@pytest.mark.parametrize("form", PAIR_FORMS)
def test_every_form_of_the_partition_and_identity_lists(
    form: str, read: Callable[[Path], pd.Series], name: str, dtype: str, write: Callable[..., Path]
) -> None:
    series = read(write(PAIR_FORMS[form].format(name=name).encode()))

    expected = pd.Series([0, 2, 1], ["000001.jpg", "000003.jpg", "000002.jpg"], dtype, name=name)
    pd.testing.assert_series_equal(series, expected.rename_axis("image_id"))


def test_identities_reach_beyond_int8(write: Callable[..., Path]) -> None:
    assert list(read_identities(write(b"a.jpg 2880\nb.jpg 10177\n"))) == [2880, 10177]


CSV = "image_id,Smiling,Male\n000001.jpg,1,-1\n"
BAD_ATTRIBUTES = {
    "third label": (CSV + "000002.jpg,1,2", "line 3: Male is '2', must be 1 or -1 (or 1 or 0); correct"),
    "a label that int8 wraps to 1": (CSV + "000002.jpg,1,257", "line 3: Male is '257', must be 1"),
    "label far too large": (CSV + f"000002.jpg,1,{10**30}", f"line 3: Male is '{10**30}', must be 1"),
    "fraction": (CSV + "000002.jpg,0.5,1", "line 3: Smiling is '0.5', must be 1"),
    "text": (CSV + "000002.jpg,1,yes", "line 3: Male is 'yes', must be 1"),
    "blank": (CSV + "000002.jpg,,1", "line 3: Smiling is blank, must be 1"),
    "blank at the end": (CSV + "000002.jpg,1,", "line 3: Male is blank, must be 1"),
    "NaN": (CSV + "000002.jpg,nan,1", "line 3: Smiling is 'nan', must be 1"),
    "NA": (CSV + "000002.jpg,1,NA", "line 3: Male is 'NA', must be 1"),
    "bad label after a count line": ("2\nSmiling Male \na.jpg  1 -1\nb.jpg  1  7\n", "line 4: Male is '7', must be 1"),
    "0 and -1": (CSV + "000002.jpg,1,1\n000003.jpg,0,1", "0 in line 4 but -1 in line 2; use one of them"),
    "duplicate id": (CSV + "000002.jpg,1,1\n000001.jpg,1,1", "line 4: '000001.jpg' is already in line 2; remove one"),
    "blank id": (CSV + ",1,1", "line 3: image id '' must be a file name"),
    "folder in the id": (CSV + "img/000002.jpg,1,1", "line 3: image id 'img/000002.jpg' must be a file name without"),
    "backslash in the id": (CSV + "img\\2.jpg,1,1", r"line 3: image id 'img\\2.jpg' must be a file name without"),
    "no Male": ("image_id,Smiling\n000001.jpg,1\n", "line 1: no column Male among Smiling; give the list with"),
    "no header": ("000001.jpg,1,-1\n", "line 1: no column Male among 000001.jpg, 1, -1; give the list with the header"),
    "male": ("image_id,male\n000001.jpg,1\n", "line 1: no column Male among male;"),
    "semicolons": (
        "image_id;Smiling;Male\n1.jpg;1;1\n",
        "line 1: columns are apart by semicolons; save it with commas",
    ),
    "tabs": ("image_id\tMale\n000001.jpg\t1\n", "line 1: columns are apart by tabs; save it with commas"),
    "tabs after a count": ("1\nimage_id\tMale\n1.jpg\t1\n", "line 2: columns are apart by tabs; save it with commas"),
    "id column of another name": (
        "file,Male\n000001.jpg,1\n",
        "line 1: the first column is 'file'; rename it to image_",
    ),
    "id column is not the first": ("Male,image_id\n1,1.jpg\n", "line 1: column image_id after the first is no attr"),
    "a row number before the id": (",image_id,Male\n0,1.jpg,1\n", "line 1: column image_id after the first is no attr"),
    "column without a name": ("image_id,Male,\n000001.jpg,1,\n", "line 1: column 3 has no name; name or remove it"),
    "column twice": ("image_id,Male,Male\n1.jpg,1,1\n", "line 1: column Male is there twice; remove one"),
    "a joined list": ("image_id,Male,partition\n1.jpg,1,0\n", "line 1: column partition after the first is no attri"),
    "short row": (CSV + "000002.jpg,1", "line 3 has 2 columns in place of 3; correct or remove it"),
    "long row": (CSV + "000002.jpg,1,1,1", "line 3 has 4 columns in place of 3; correct or remove it"),
    "every row is long": ("image_id,Male\n1.jpg,1,1\n2.jpg,1,1", "line 2 has 3 columns in place of 2; correct"),
    "cut short in a row": ("3\nSmiling Male \r\n1.jpg  1 -1\r\n2.jp", "line 4 has 1 columns in place of 3; correct"),
    "blank line": (CSV + "\n000002.jpg,1,1", "line 3 is blank; remove it"),
    "blank first line": ("\n" + CSV, "line 1 is blank; remove it"),
    "empty": ("", "empty; get the file again"),
    "only white space": (" \r\n\n", "empty; get the file again"),
    "only a byte order mark": ("\ufeff", "empty; get the file again"),
    "only a count": ("202599\n", "holds a count line and no rows; get the whole file"),
    "only a header": ("image_id,Smiling,Male\r\n", "holds a header and no rows; get the whole file"),
}


@pytest.mark.parametrize("case", BAD_ATTRIBUTES)
def test_a_bad_attribute_list_is_one_line_of_file_row_and_remedy(case: str, write: Callable[..., Path]) -> None:
    content, message = BAD_ATTRIBUTES[case]
    path = write(content.encode())

    with pytest.raises(FacegenderError) as raised:
        read_attributes(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_the_line_is_the_one_an_editor_shows(ending: str, write: Callable[..., Path]) -> None:
    lines = ["image_id,Male", *(f"{number}.jpg,1" for number in range(2, 1000)), "1000.jpg,oops", "1001.jpg,1"]

    with pytest.raises(FacegenderError, match="line 1000: Male is 'oops'"):
        read_attributes(write(ending.join(lines).encode()))


BAD_PAIRS = {
    "fourth partition": (
        "a.jpg,0\nb.jpg,3\n",
        "line 2: partition is '3', must be 0 (train), 1 (val) or 2 (test); corr",
    ),
    "negative": ("image_id,partition\na.jpg,-1\n", "line 2: partition is '-1', must be 0 (train)"),
    "blank": ("image_id,partition\na.jpg,\n", "line 2: partition is blank, must be 0 (train)"),
    "name of the partition": ("a.jpg train\n", "line 1: partition is 'train', must be 0 (train)"),
    "duplicate id": ("a.jpg 0\nb.jpg 0\na.jpg 1\n", "line 3: 'a.jpg' is already in line 1; remove one"),
    "the attribute list": (
        "image_id,Male\na.jpg,1\n",
        "line 1: no column partition but 'Male'; give the partition list",
    ),
    "id column of another name": (
        "file,partition\na.jpg,1\n",
        "line 1: the first column is 'file'; rename it to image",
    ),
    "three columns": ("a.jpg 0\nb.jpg 0 1\n", "line 2 has 3 columns in place of 2; correct or remove it"),
    "semicolons": ("a.jpg;0\n", "line 1: columns are apart by semicolons; save it with commas"),
    "tabs": ("a.jpg\t0\n", "line 1: columns are apart by tabs; save it with commas"),
    "cut short in a row": ("a.jpg 0\nb.j", "line 2 has 1 columns in place of 2; correct or remove it"),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_a_bad_partition_list_is_one_line_of_file_row_and_remedy(case: str, write: Callable[..., Path]) -> None:
    content, message = BAD_PAIRS[case]
    path = write(content.encode())

    with pytest.raises(FacegenderError) as raised:
        read_partitions(path)
    assert str(raised.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("value", ["x", "-5", "1.5", str(2**63), "", "1_0"])
def test_a_bad_identity_names_its_line(value: str, write: Callable[..., Path]) -> None:
    shown = repr(value) if value else "blank"

    with pytest.raises(FacegenderError, match=f"line 2: identity is {shown}, must be a whole number; correct"):
        read_identities(write(f"a.jpg,7\nb.jpg,{value}\n".encode()))


@pytest.mark.parametrize("read", [read_attributes, read_partitions, read_identities])
def test_what_is_no_list_at_all(read: Callable[[Path], object], tmp_path: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(FacegenderError, match=r"none.csv: No such file or directory; put the list there or change par"):
        read(tmp_path / "none.csv")
    with pytest.raises(FacegenderError, match="a folder; give the list's file"):
        read(tmp_path)
    with pytest.raises(FacegenderError, match="no text; give the unpacked list, saved as UTF-8"):
        read(write(b"PK\x03\x04\0\0"))
    with pytest.raises(FacegenderError, match="no text; give the unpacked list, saved as UTF-8"):
        read(write("image_id,Male\n".encode("utf-16")))
    with pytest.raises(FacegenderError, match="line 2: no UTF-8 text; give the unpacked list, saved as UTF-8"):
        read(write("image_id,Male\nJosé.jpg,1".encode("latin-1")))


IMAGE_IDS = st.text(st.characters(categories=["L", "N"], include_characters="._-()"), min_size=1, max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    names = draw(st.lists(st.sampled_from([name for name in ATTRIBUTES if name != "Male"]), unique=True, max_size=5))
    names.insert(draw(st.integers(0, len(names))), "Male")
    image_ids = draw(st.lists(IMAGE_IDS, unique=True, min_size=1, max_size=8))
    row = st.lists(st.integers(0, 1), min_size=len(names), max_size=len(names))
    values = draw(st.lists(row, min_size=len(image_ids), max_size=len(image_ids)))
    return pd.DataFrame(values, pd.Index(image_ids, name="image_id"), names, dtype="int8")


@settings(max_examples=60)
@given(
    table=tables(),
    no=st.sampled_from([0, -1]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    id_name=st.sampled_from(["image_id", ""]),
    final=st.booleans(),
    mark=st.booleans(),
    quote=st.sampled_from(['"', ""]),
)
def test_a_csv_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    table: pd.DataFrame,
    no: int,
    ending: str,
    id_name: str,
    final: bool,
    mark: bool,
    quote: str,
) -> None:
    lines = [[id_name, *table.columns]]
    lines += [[str(name), *map(str, row)] for name, row in zip(table.index, table.replace(0, no).values, strict=True)]
    text = ending.join(",".join(f"{quote}{field}{quote}" for field in line) for line in lines) + ending * final
    path = tmp_path_factory.getbasetemp() / "list.csv"
    path.write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))

    pd.testing.assert_frame_equal(read_attributes(path), table)


@settings(max_examples=60)
@given(
    table=tables(),
    no=st.sampled_from([0, -1]),
    ending=st.sampled_from(["\n", "\r\n"]),
    count=st.sampled_from([None, 0, 202599]),
    id_name=st.sampled_from(["image_id ", ""]),
    gap=st.integers(1, 4),
    trailing=st.sampled_from([" ", ""]),
)
def test_a_txt_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    table: pd.DataFrame,
    no: int,
    ending: str,
    count: int | None,
    id_name: str,
    gap: int,
    trailing: str,
) -> None:
    lines = [] if count is None else [str(count)]
    lines += [id_name + " ".join(table.columns) + trailing]
    for image_id, row in zip(table.index, table.replace(0, no).to_numpy(), strict=True):
        lines.append(str(image_id) + "".join(" " * gap + f"{value:2d}" for value in row) + trailing)
    path = tmp_path_factory.getbasetemp() / "list.txt"
    path.write_bytes(ending.join([*lines, ""]).encode())

    pd.testing.assert_frame_equal(read_attributes(path), table)


@settings(max_examples=60)
@given(
    table=st.dictionaries(IMAGE_IDS, st.integers(0, 2), min_size=1, max_size=8),
    separator=st.sampled_from([",", " ", "   "]),
    header=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_a_partition_list_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, int], separator: str, header: bool, ending: str
) -> None:
    lines = [f"image_id{separator}partition"] * header
    lines += [f"{image_id}{separator}{number}" for image_id, number in table.items()]
    path = tmp_path_factory.getbasetemp() / "list.txt"
    path.write_bytes(ending.join(lines).encode())

    assert read_partitions(path).to_dict() == table


def test_the_lists_are_joined_by_id_and_not_by_position(write: Callable[..., Path]) -> None:
    annotations = read_annotations(
        write(b"image_id,Male\nc.jpg,1\na.jpg,-1\nb.jpg,-1\n", "attributes"),
        write(b"a.jpg 0\nb.jpg 1\nc.jpg 2\n", "partitions"),
        write(b"b.jpg 20\nx.jpg 99\nc.jpg 30\na.jpg 10\n", "identities"),
    )

    expected = pd.DataFrame(
        {"Male": [1, 0, 0], "partition": [2, 0, 1], "identity": [30, 10, 20]}, ["c.jpg", "a.jpg", "b.jpg"]
    ).astype({"Male": "int8", "partition": "int8"})
    pd.testing.assert_frame_equal(annotations, expected.rename_axis("image_id"))


def test_identities_are_joined_only_where_given(write: Callable[..., Path]) -> None:
    annotations = read_annotations(write(b"image_id,Male\na.jpg,1\n", "attributes"), write(b"a.jpg 0\n", "partitions"))
    assert list(annotations.columns) == ["Male", "partition"]


def test_ids_in_one_list_only_are_one_error_with_both_files_and_lines(write: Callable[..., Path]) -> None:
    attributes = write(b"3\nMale\na.jpg 1\nb.jpg 1\nc.jpg 1\n", "attributes")
    partitions = write(b"image_id,partition\nx.jpg,0\na.jpg,0\n", "partitions")

    with pytest.raises(FacegenderError) as raised:
        read_annotations(attributes, partitions)
    assert str(raised.value) == (
        f"{attributes} and {partitions} do not list the same images: 2 only in {attributes} (first: b.jpg, line 4) and "
        f"1 only in {partitions} (first: x.jpg, line 2); take both from one copy of the data set, or remove these rows"
    )


def test_an_image_without_identity_is_an_error(write: Callable[..., Path]) -> None:
    attributes = write(b"image_id,Male\na.jpg,1\nb.jpg,1\n", "attributes")
    partitions = write(b"a.jpg 0\nb.jpg 0\n", "partitions")
    identities = write(b"a.jpg 1\nz.jpg 2\n", "identities")

    with pytest.raises(
        FacegenderError, match=r"identities.dat do not list .* 1 only in .*attributes.dat \(first: b.jpg"
    ):
        read_annotations(attributes, partitions, identities)


def folder_of(tmp_path: Path, files: dict[str, bytes]) -> Path:
    root = tmp_path / "Bilder, größer"
    root.mkdir()
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def zip_of(tmp_path: Path, files: dict[str, bytes]) -> Path:
    path = tmp_path / "Bilder, größer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("pack", [folder_of, zip_of])
@pytest.mark.parametrize("nesting", ["", "img_align_celeba/", "img_align_celeba/img_align_celeba/"])
def test_images_are_found_in_a_folder_and_a_zip_however_nested(
    pack: Callable[..., Path], nesting: str, tmp_path: Path
) -> None:
    images = {"000001.jpg": b"one", "Ärger 2.PNG": b"two"}
    junk = {
        "__MACOSX/img_align_celeba/._000001.jpg": b"junk",
        "__MACOSX/000001.jpg": b"junk",
        f"{nesting}._000003.jpg": b"junk",
        f"{nesting}.DS_Store": b"junk",
        ".hidden/000001.jpg": b"junk",
        "list_attr_celeba.csv": b"image_id,Male",
        "other/readme.txt": b"hello",
        "another/readme.txt": b"hello",
    }
    path = pack(tmp_path, {**junk, **{nesting + name: content for name, content in images.items()}})

    with open_images(path) as source:
        assert {name: source.read(name) for name in images} == images
        for missing in ("000002.jpg", "._000003.jpg", "readme.txt", "", ".", "..", nesting + "/000001.jpg"):
            assert missing not in source
        assert all(name in source for name in images)
        with pytest.raises(FacegenderError) as raised:
            source.read("000009.jpg")
    assert str(raised.value) == f"{path}: no image 000009.jpg; add it, or remove its row from the lists"


def test_an_id_cannot_reach_outside_the_folder(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"1.jpg": b"one"})
    (tmp_path / "secret.jpg").write_bytes(b"secret")

    with open_images(root) as source:
        assert "../secret.jpg" not in source
        with pytest.raises(FacegenderError, match="no image"):
            source.read("../secret.jpg")
        with pytest.raises(FacegenderError, match="no image"):
            source.read(str(tmp_path / "secret.jpg"))


def test_one_name_in_two_folders_is_an_error(tmp_path: Path) -> None:
    files = {"a/1.jpg": b"one", "b/1.jpg": b"other", "b/2.jpg": b"two"}

    with (
        pytest.raises(FacegenderError, match=r"image 1.jpg is there twice: a/1.jpg and b/1.jpg; remove one"),
        open_images(zip_of(tmp_path, files)),
    ):
        pass
    with open_images(folder_of(tmp_path, files)) as source:
        assert source.read("2.jpg") == b"two"
        with pytest.raises(FacegenderError, match=r"image 1.jpg is there twice: .*; remove one"):
            source.read("1.jpg")


def test_a_zip_with_backslashes_in_its_names(tmp_path: Path) -> None:
    with open_images(zip_of(tmp_path, {"img_align_celeba\\1.jpg": b"one"})) as source:
        assert source.read("1.jpg") == b"one"


@pytest.mark.parametrize("pack", [folder_of, zip_of])
def test_no_images_at_all_is_an_error(pack: Callable[..., Path], tmp_path: Path) -> None:
    with (
        pytest.raises(FacegenderError, match=r"holds no images \(.jpg, .*; check dataset.images"),
        open_images(pack(tmp_path, {"readme.txt": b"hello"})),
    ):
        pass


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(FacegenderError, match=r"none.zip: No such file .*; put the images there or change dataset.imag"),
        open_images(tmp_path / "none.zip"),
    ):
        pass


@pytest.mark.parametrize("keep", [0, 10, -10])
def test_a_zip_cut_short_is_one_line(keep: int, tmp_path: Path) -> None:
    path = zip_of(tmp_path, {f"{number}.jpg": b"x" * 100 for number in range(50)})
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(FacegenderError) as raised, open_images(path):
        pass
    assert str(raised.value).startswith(f"{path}: no zip, or a damaged one (")
    assert "\n" not in str(raised.value)


def test_a_zip_with_garbled_names_is_one_line(tmp_path: Path) -> None:
    path = zip_of(tmp_path, {"é1.jpg": b"one"})
    content = path.read_bytes()
    assert content.count("é1.jpg".encode()) == 2
    path.write_bytes(content.replace("é1.jpg".encode(), b"\xff\xff1.jpg"))

    with pytest.raises(FacegenderError, match="no zip, or a damaged one"), open_images(path):
        pass


def test_a_damaged_member_is_one_line_and_spares_the_others(tmp_path: Path) -> None:
    path = zip_of(tmp_path, {"1.jpg": os.urandom(500), "2.jpg": b"two"})
    content = bytearray(path.read_bytes())
    content[200:210] = bytes(10)
    path.write_bytes(content)

    with open_images(path) as source:
        assert source.read("2.jpg") == b"two"
        with pytest.raises(FacegenderError) as raised:
            source.read("1.jpg")
    assert str(raised.value).startswith(f"{path}: image 1.jpg cannot be unpacked (")
    assert "\n" not in str(raised.value)


def test_a_folder_is_listed_once_and_not_for_each_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder_of(tmp_path, {f"img_align_celeba/{number}.jpg": b"x" for number in range(100)})
    seen: list[str] = []
    scandir = os.scandir

    class Counting:
        def __init__(self, folder: str) -> None:
            self.entries = scandir(folder)

        def __enter__(self) -> "Counting":
            return self

        def __exit__(self, *_: object) -> None:
            self.entries.close()

        def __iter__(self) -> "Counting":
            return self

        def __next__(self) -> os.DirEntry[str]:
            entry = next(self.entries)
            seen.append(entry.name)
            return entry

    monkeypatch.setattr(os, "scandir", Counting)
    with open_images(root) as source:
        assert "99.jpg" in source
        assert source.read("42.jpg") == b"x"
    # The folder of images, and the hundred in it.
    assert len(seen) == 101


@pytest.mark.parametrize("pack", [folder_of, zip_of])
def test_a_loose_picture_hides_no_folder_beside_it(
    pack: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path
) -> None:
    files = {"cover.jpg": b"cover", "img_align_celeba/000001.jpg": b"one", "album.jpg/000002.jpg": b"two"}

    with open_images(pack(tmp_path, files)) as source:
        assert [source.read(name) for name in ("cover.jpg", "000001.jpg", "000002.jpg")] == [b"cover", b"one", b"two"]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs {SHARED}")
@pytest.mark.parametrize(
    ("name", "rows", "men"), [("congress_aligned", 873, 719), ("faker_portraits_aligned", 198, 100)]
)
def test_real_faces_in_celebas_format(name: str, rows: int, men: int) -> None:
    folder = SHARED / "data" / name
    annotations = read_annotations(folder / "list_attr_celeba.csv", folder / "list_eval_partition.csv")

    assert len(annotations) == rows
    assert annotations["Male"].sum() == men
    with open_images(folder / "img_align_celeba") as source:
        assert all(image_id in source for image_id in annotations.index)
        assert source.read(annotations.index[0])[:2] == b"\xff\xd8"


def test_an_empty_identity_list_says_that_persons_are_not_known(tmp_path: Path) -> None:
    attributes, partitions, identities = (tmp_path / name for name in ("attributes", "partitions", "identities"))
    attributes.write_text("image_id,Male\n000001.jpg,1\n")
    partitions.write_text("image_id,partition\n000001.jpg,0\n")
    identities.write_text("")

    assert list(read_annotations(attributes, partitions, identities).columns) == ["Male", "partition"]
