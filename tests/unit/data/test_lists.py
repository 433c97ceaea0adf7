"""The readers of the attribute, partition and identity lists."""

import csv
import errno
import os
import string
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegender.data.celeba import ATTRIBUTES
from facegender.data.lists import known_identities, read_annotations, read_attributes, read_identities, read_partitions
from facegender.errors import FacegenderError
from tests.paths import ROOT, SHARED

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
    "spaces around commas": b"image_id , Smiling , Male\n000001.jpg , 1 , -1\n000002.jpg , -1,-1\n000003.jpg ,1,1\n",
    "written as floats": b"image_id,Smiling,Male\n000001.jpg,1.0,0.0\n000002.jpg,0.0,0.0\n000003.jpg,1.0,1.0\n",
    "blank lines at the end": b"image_id,Smiling,Male\n000001.jpg,1,-1\n000002.jpg,-1,-1\n000003.jpg,1,1\n\n \n",
    "original txt": b"3\r\nSmiling Male \r\n000001.jpg  1 -1\r\n000002.jpg -1 -1\r\n000003.jpg  1  1\r\n",
    "no count line": b"Smiling Male \r\n000001.jpg  1 -1\r\n000002.jpg -1 -1\r\n000003.jpg  1  1\r\n",
    "wrong count line": b"202599\nSmiling Male\n000001.jpg  1 -1\n000002.jpg -1 -1\n000003.jpg  1  1",
    "txt with an id column": b"3\nimage_id Smiling Male\n000001.jpg  1 -1\n000002.jpg -1 -1\n000003.jpg  1  1\n",
    "spaces before the ids": b"3\n Smiling Male\n  000001.jpg  1 -1\n  000002.jpg -1 -1\n 000003.jpg  1  1\n",
    "txt of 0 and 1": b"3\nSmiling Male \n000001.jpg 1 0 \n000002.jpg 0 0 \n000003.jpg 1 1 \n",
    "csv with a count line": b"3\nimage_id,Smiling,Male\n000001.jpg,1,-1\n000002.jpg,-1,-1\n000003.jpg,1,1\n",
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write_list(content: bytes, name: str = "list") -> Path:
        # This suffix fits none of the forms: only the content counts.
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
    "spaces before the ids": "  000001.jpg 0\n  000003.jpg 2\n 000002.jpg 1\n",
    "csv without header": "000001.jpg,0\n000003.jpg,2\n000002.jpg,1",
    "unnamed first column": ",{name}\n000001.jpg,0\n000003.jpg,2\n000002.jpg,1",
    "original txt": "000001.jpg 0\r\n000003.jpg 2\r\n000002.jpg 1\r\n",
    "txt with only the name of the values": "{name}\n000001.jpg 0\n000003.jpg 2\n000002.jpg 1\n",
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


def test_an_id_keeps_its_first_letter(write: Callable[..., Path]) -> None:
    for letter in string.ascii_letters:
        assert list(read_partitions(write(f"{letter}.jpg 0\n".encode())).index) == [f"{letter}.jpg"]


@pytest.mark.parametrize("ending", ["", ".0", ".", ".000"])
def test_identities_reach_beyond_int8_and_are_exact(ending: str, write: Callable[..., Path]) -> None:
    # 2^53 + 1 is the smallest integer that a float cannot hold.
    numbers = [2880, 10177, 2**53 + 1, 2**63 - 2]

    rows = "".join(f"{number}.0.jpg,{number}{ending}\n" for number in numbers)

    assert list(read_identities(write(rows.encode()))) == numbers


CSV = "image_id,Smiling,Male\n000001.jpg,1,-1\n"
BAD_ATTRIBUTES = {
    "third label": (CSV + "000002.jpg,1,2", "line 3: Male is '2', must be 1 or -1 (or 1 or 0); fix"),
    "a label that int8 wraps to 1": (CSV + "000002.jpg,1,257", "line 3: Male is '257', must be 1"),
    "label far too large": (CSV + f"000002.jpg,1,{10**30}", f"line 3: Male is '{10**30}', must be 1"),
    "fraction": (CSV + "000002.jpg,0.5,1", "line 3: Smiling is '0.5', must be 1"),
    "a label below -1": (CSV + "000002.jpg,1,-2", "line 3: Male is '-2', must be 1"),
    "a decimal before a text": (CSV + "000002.jpg,1.0,yes", "line 3: Male is 'yes', must be 1"),
    "a letter behind a label, and quotes": ('image_id,Male\n"1.jpg",1X\n', "line 2: Male is '1X', must be 1"),
    "text": (CSV + "000002.jpg,1,yes", "line 3: Male is 'yes', must be 1"),
    "blank": (CSV + "000002.jpg,,1", "line 3: Smiling is blank, must be 1"),
    "blank at the end": (CSV + "000002.jpg,1,", "line 3: Male is blank, must be 1"),
    "a no-break space beside a label": (
        CSV + "000002.jpg,1,1\u00a0\n000003.jpg,1,1",
        "line 3: Male is '1\\xa0', must be 1",
    ),
    "a no-break space behind a label, and quotes": (
        'Smiling Male\n"a.jpg" 1 1\u00a0\n"b.jpg" 1 1\n',
        "line 2: Male is '1\\xa0', must be 1",
    ),
    "a tab beside a label": (CSV + "000002.jpg,1,\t1", "line 3: Male is '\\t1', must be 1"),
    "NaN": (CSV + "000002.jpg,nan,1", "line 3: Smiling is 'nan', must be 1"),
    "NA": (CSV + "000002.jpg,1,NA", "line 3: Male is 'NA', must be 1"),
    "bad label after a count line": ("2\nSmiling Male \na.jpg  1 -1\nb.jpg  1  7\n", "line 4: Male is '7', must be 1"),
    "0 and -1": (
        CSV + "000002.jpg,1,1\n000003.jpg,0,1",
        "both 0 (Smiling in line 4) and -1 (Male in line 2) mean no; use only one of them",
    ),
    "0 and -1 in one row": (
        "image_id,Smiling,Male\n1.jpg,0,-1\n2.jpg,0,-1\n",
        "both 0 (Smiling in line 2) and -1 (Male in line 2) mean no; use only one of them",
    ),
    "an exponent that crashes pandas": (CSV + "000002.jpg,1,1e2147483648", "line 3: Male is '1e2147483648', must be"),
    "an exponent": (CSV + "000002.jpg,1e0,1", "line 3: Smiling is '1e0', must be 1"),
    "an exponent that pandas takes for 0": (CSV + "000002.jpg,1e-99,1", "line 3: Smiling is '1e-99', must be 1"),
    "a number of 5,000 digits": (CSV + "000002.jpg,1," + "9" * 5000, f"line 3: Male is '{'9' * 60}…', must be 1"),
    "a name in both forms of its accent": (
        "image_id,Male\njos\u00e9.jpg,1\njose\u0301.jpg,1\n",
        "line 3: 'jos\u00e9.jpg' is already in line 2; remove one",
    ),
    "a web page": ("<!doctype html>\n<title>Sign in</title>\n", "a web page, not a list; download the list again"),
    "an id that a later row has too": (
        CSV + "000002.jpg,1,1\n000003.jpg,1,1\n000002.jpg,1,1",
        "line 5: '000002.jpg' is already in line 3; remove one",
    ),
    "duplicate id": (CSV + "000002.jpg,1,1\n000001.jpg,1,1", "line 4: '000001.jpg' is already in line 2; remove one"),
    "blank id": (CSV + ",1,1", "line 3: image id '' must be a file name without folders; fix the row"),
    "folder in the id": (CSV + "img/000002.jpg,1,1", "line 3: image id 'img/000002.jpg' must be a file name without"),
    "backslash in the id": (CSV + "img\\2.jpg,1,1", r"line 3: image id 'img\\2.jpg' must be a file name without"),
    "no Male": ("image_id,Smiling\n000001.jpg,1\n", "line 1: no column Male among Smiling; use the list whose"),
    "no header": ("000001.jpg,1,-1\n", "line 1: no column Male among 000001.jpg, 1, -1; use the list whose header"),
    "no Male among five": ("image_id,a,b,c,d,e\n1.jpg,1,1,1,1,1\n", "line 1: no column Male among a, b, c, d, e; use"),
    "no Male among six": ("image_id,a,b,c,d,e,f\n", "line 1: no column Male among a, b, c, d, e, …; use the list"),
    "male": ("image_id,male\n000001.jpg,1\n", "line 1: no column Male among male; rename male to Male"),
    "MALE": ("image_id,Smiling,MALE\n1.jpg,1,1\n", "line 1: no column Male among Smiling, MALE; rename MALE to Male"),
    "gender": ("image_id,gender\n1.jpg,1\n", "line 1: no column Male among gender; use the list whose header"),
    "semicolons": (
        "image_id;Smiling;Male\n1.jpg;1;1\n",
        "line 1: columns are separated by semicolons; save the list with commas",
    ),
    "tabs": ("image_id\tMale\n000001.jpg\t1\n", "line 1: columns are separated by tabs; save the list"),
    "tabs after a count": (
        "1\nimage_id\tMale\n1.jpg\t1\n",
        "line 2: columns are separated by tabs; save",
    ),
    "id column of another name": (
        "file,Male\n000001.jpg,1\n",
        "line 1: the first column is 'file'; rename it to image_",
    ),
    "id column is not the first": (
        "Male,image_id\n1,1.jpg\n",
        "line 1: column image_id is not an attribute; remove or rename it",
    ),
    "a row number before the id": (
        ",image_id,Male\n0,1.jpg,1\n",
        "line 1: column image_id is not an attribute; remove or rename it",
    ),
    "column without a name": ("image_id,Male,\n000001.jpg,1,\n", "line 1: column 3 has no name; name or remove it"),
    "column twice": ("image_id,Male,Male\n1.jpg,1,1\n", "line 1: column Male appears twice; remove one"),
    "a joined list": (
        "image_id,Male,partition\n1.jpg,1,0\n",
        "line 1: column partition is not an attribute; remove or rename it",
    ),
    "short row": (CSV + "000002.jpg,1", "line 3: 2 columns instead of 3; fix or remove the row"),
    "long row": (CSV + "000002.jpg,1,1,1", "line 3: 4 columns instead of 3; fix or remove the row"),
    "every row is long": ("image_id,Male\n1.jpg,1,1\n2.jpg,1,1", "line 2: 3 columns instead of 2; fix"),
    "cut short in a row": ("3\nSmiling Male \r\n1.jpg  1 -1\r\n2.jp", "line 4: 1 column instead of 3; fix"),
    "blank line": (CSV + "\n000002.jpg,1,1", "line 3: the line is blank; remove it"),
    "blank first line": ("\n" + CSV, "line 1: the line is blank; remove it"),
    "empty": ("", "the file is empty; get the file again"),
    "only white space": (" \r\n\n", "the file is empty; get the file again"),
    "only a byte order mark": ("\ufeff", "the file is empty; get the file again"),
    "only a count": ("202599\n", "it has a count line but no rows; get the complete file"),
    "only a header": ("image_id,Smiling,Male\r\n", "it has a header but no rows; get the complete file"),
}


@pytest.mark.parametrize("case", BAD_ATTRIBUTES)
def test_a_bad_attribute_list_is_one_line_of_file_row_and_remedy(case: str, write: Callable[..., Path]) -> None:
    content, message = BAD_ATTRIBUTES[case]
    path = write(content.encode())

    with pytest.raises(FacegenderError) as raised:
        read_attributes(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("row", ["1.jpg,1\u00a0", '"1.jpg",1\u00a0', '"1.jpg","1"\u00a0'])
def test_a_no_break_space_beside_a_label_is_refused_whether_in_quotes_or_not(
    row: str, write: Callable[..., Path]
) -> None:
    path = write(f"image_id,Male\n{row}\n2.jpg,1\n".encode())

    with pytest.raises(FacegenderError) as raised:
        read_attributes(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "1 or -1 (or 1 or 0); fix" in str(raised.value)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_the_line_is_the_one_an_editor_shows(ending: str, write: Callable[..., Path]) -> None:
    lines = ["image_id,Male", *(f"{number}.jpg,1" for number in range(2, 1000)), "1000.jpg,oops", "1001.jpg,1"]

    with pytest.raises(FacegenderError, match="line 1000: Male is 'oops'"):
        read_attributes(write(ending.join(lines).encode()))


BAD_PAIRS = {
    "fourth partition": (
        "a.jpg,0\nb.jpg,3\n",
        "line 2: partition is '3', must be 0 (train), 1 (val) or 2 (test); fix or",
    ),
    "negative": ("image_id,partition\na.jpg,-1\n", "line 2: partition is '-1', must be 0 (train)"),
    "blank": ("image_id,partition\na.jpg,\n", "line 2: partition is blank, must be 0 (train)"),
    "name of the partition": ("a.jpg train\n", "line 1: partition is 'train', must be 0 (train)"),
    "duplicate id": ("a.jpg 0\nb.jpg 0\na.jpg 1\n", "line 3: 'a.jpg' is already in line 1; remove one"),
    "the attribute list": (
        "image_id,Male\na.jpg,1\n",
        "line 1: the last column is 'Male', not 'partition'; use the partition list",
    ),
    "id column of another name": (
        "file,partition\na.jpg,1\n",
        "line 1: the first column is 'file'; rename it to image",
    ),
    "id column of a name with a space": (
        "file name,partition\na.jpg,1\n",
        "line 1: the first column is 'file name'; rename it to image",
    ),
    "an attribute list of two attributes": (
        "image_id,Smiling,Male\na.jpg,1,1\n",
        "line 1: the last column is 'Male', not 'partition'; use the partition list",
    ),
    "three columns": ("a.jpg 0\nb.jpg 0 1\n", "line 2: 3 columns instead of 2; fix or remove the row"),
    "semicolons": ("a.jpg;0\n", "line 1: columns are separated by semicolons; save the list with commas"),
    "tabs": ("a.jpg\t0\n", "line 1: columns are separated by tabs; save the list"),
    "cut short in a row": ("a.jpg 0\nb.j", "line 2: 1 column instead of 2; fix or remove the row"),
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

    with pytest.raises(FacegenderError, match=f"line 2: identity is {shown}, must be a whole number; fix"):
        read_identities(write(f"a.jpg,7\nb.jpg,{value}\n".encode()))


@pytest.mark.parametrize("read", [read_attributes, read_partitions, read_identities])
def test_what_is_not_a_list_at_all(read: Callable[[Path], object], tmp_path: Path, write: Callable[..., Path]) -> None:
    path = write(b"")
    with pytest.raises(FacegenderError, match=r"none.csv: No such file or directory; put the list there or change par"):
        read(tmp_path / "none.csv")
    with pytest.raises(FacegenderError, match=f"^{tmp_path}: this is a folder; use the list's file$"):
        read(tmp_path)
    for content in (b"PK\x03\x04\0\0", "image_id,Male\n".encode("utf-16")):
        write(content)
        with pytest.raises(FacegenderError, match=f"^{path}: not a text file; use the unpacked list, saved as UTF-8$"):
            read(path)
    for text in ("image_id,Male\nJosé.jpg,1\n2.jpg,1\n", "\nJosé.jpg,1\n2.jpg,1\n"):
        write(text.encode("latin-1"))
        with pytest.raises(FacegenderError, match=f"^{path}: line 2: not UTF-8 text; use the unpacked list, saved as "):
            read(path)


@pytest.mark.parametrize("read", [read_attributes, read_partitions, read_identities])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied; make it readable"),
        (OSError("no reason given"), "no reason given; put the list there or change params.yaml"),
    ],
)
def test_a_list_that_cannot_be_read_is_named_with_what_to_do(
    read: Callable[[Path], object],
    error: OSError,
    words: str,
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(b"image_id,Male\n1.jpg,1\n")

    def fail(_: Path) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(FacegenderError, match=f"^{path}: {words}$"):
        read(path)


CHARACTERS = st.characters(categories=["L", "N"], include_characters="._-()")


def test_lists_that_write_accents_differently_list_the_same_images(write: Callable[..., Path]) -> None:
    composed, separate = "image_id,{}\njos\u00e9.jpg,1\n", "image_id,{}\njose\u0301.jpg,1\n"

    table = read_annotations(
        write(separate.format("Male").encode(), "attributes"),
        write(composed.format("partition").encode(), "partitions"),
    )

    assert list(table.index) == ["jos\u00e9.jpg"]


@pytest.mark.parametrize("read", [read_attributes, read_partitions, known_identities])
@pytest.mark.parametrize("place", ["pipe", "/dev/zero"])
def test_a_pipe_or_device_is_refused_and_not_waited_for(
    read: Callable[[str], object], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")

    with pytest.raises(FacegenderError, match=f"^{place}: a pipe or a device, not a file; write it to a file first$"):
        read(place)


IMAGE_IDS = st.text(CHARACTERS, min_size=1, max_size=12).map(lambda text: unicodedata.normalize("NFC", text))


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


QUOTED_IDS = {
    "comma": ('"a,b.jpg",1', "a,b.jpg"),
    "doubled quotes": ('"say ""hi"".jpg",1', 'say "hi".jpg'),
    "only doubled quotes": ('"""",1', '"'),
    "a value in quotes": ('"a.jpg","1"', "a.jpg"),
    "spaces around the quotes": ('"a.jpg" , "1"', "a.jpg"),
    "a space inside the quotes": ('" a.jpg",1', " a.jpg"),
    "quotes in the middle": ('5"x7".jpg,1', '5"x7".jpg'),
    "a quote at the start": ('"a.jpg,1', '"a.jpg'),
    "quotes around a part": ('"Bob".jpg,1', '"Bob".jpg'),
    "a quote at the end": ('a",1', 'a"'),
    "an apostrophe": ("'a.jpg',1", "'a.jpg'"),
}


@pytest.mark.parametrize("case", QUOTED_IDS)
@pytest.mark.parametrize("other", ["b.jpg,0", '"b,2.jpg",0'])
def test_only_quotes_around_a_field_are_removed(case: str, other: str, write: Callable[..., Path]) -> None:
    row, image_id = QUOTED_IDS[case]
    table = read_attributes(write(f"image_id,Male\n{row}\n{other}\n".encode()))

    assert list(table.index) == [image_id, other.rpartition(",")[0].strip('"')]
    assert list(table["Male"]) == [1, 0]


QUOTED_FORMS = {
    "header": '"image_id","Male"\n"a,b.jpg","1"\n',
    "header without quotes": 'image_id,Male\n"a,b.jpg",1\n',
    "an empty name in quotes": '"","Male"\n"a,b.jpg",1\n',
    "count line": '1\nimage_id,Male\n"a,b.jpg",1\n',
    "quotes and spaces": '"Male"\n"a,b.jpg" 1\n',
    "spaces at the ends": '1\n Male \n "a,b.jpg"   1 \n',
    "a comma without quotes between spaces": "Male\na,b.jpg 1\n",
}


@pytest.mark.parametrize("form", QUOTED_FORMS)
def test_quotes_in_every_form_of_the_list(form: str, write: Callable[..., Path]) -> None:
    table = read_attributes(write(QUOTED_FORMS[form].encode()))

    assert {image_id: tuple(row) for image_id, row in zip(table.index, table.to_numpy(), strict=True)} == {
        "a,b.jpg": (1,)
    }


@pytest.mark.parametrize("row", ['"a,b c.jpg",0', '"a,b c.jpg" 0'])
def test_a_list_without_a_header_whose_first_id_has_a_comma_and_a_space(row: str, write: Callable[..., Path]) -> None:
    assert read_partitions(write(row.encode())).to_dict() == {"a,b c.jpg": 0}


BAD_QUOTED = {
    "bad value": ("c.jpg,1,oops", "line 5: Male is 'oops', must be 1"),
    "bad value in quotes": ('"c,d.jpg",1,"oops"', "line 5: Male is 'oops', must be 1"),
    "a comma without quotes": ("c,d.jpg,1,1", "line 5: 4 columns instead of 3; fix"),
    "a quote that is not closed": ('"c,d.jpg,1,1', "line 5: 4 columns instead of 3; fix"),
    "duplicate id": ('"a,""b"".jpg",1,1', "line 5: 'a,\"b\".jpg' is already in line 3; remove one"),
    "a blank line": ("", "line 5: the line is blank; remove it"),
    "only commas": (",,", "line 5: Smiling is blank, must be 1"),
    "only quotes": ('"","",""', "line 5: Smiling is blank, must be 1"),
    "folder in the id": ('"c,d/e.jpg",1,1', "line 5: image id 'c,d/e.jpg' must be a file name without"),
}


@pytest.mark.parametrize("case", BAD_QUOTED)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_lines_are_counted_correctly_with_quotes(case: str, ending: str, write: Callable[..., Path]) -> None:
    row, message = BAD_QUOTED[case]
    rows = ["3", '"image_id",Smiling,Male', '"a,""b"".jpg",1,1', "b.jpg,1,1", row, '"z,z.jpg",1,1']
    path = write(ending.join(rows).encode())

    with pytest.raises(FacegenderError) as raised:
        read_attributes(path)
    assert str(raised.value).startswith(f"{path}: {message}")


ODD_IDS = st.text(st.sampled_from("ab\"', ;ü_-."), min_size=1, max_size=8).filter(lambda name: name == name.strip(" "))


@settings(max_examples=150)
@given(
    table=st.dictionaries(ODD_IDS, st.integers(0, 2), min_size=1, max_size=6),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    ending=st.sampled_from(["\n", "\r\n"]),
    header=st.booleans(),
)
def test_ids_with_quotes_and_commas_are_read_as_the_csv_module_writes_them(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, int], quoting: int, ending: str, header: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "quoted.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=quoting, lineterminator=ending)  # type: ignore[arg-type]
        writer.writerows([["image_id", "partition"]] * header)
        writer.writerows(table.items())

    assert read_partitions(path).to_dict() == table


@settings(max_examples=60)
@given(table=st.dictionaries(ODD_IDS, st.integers(0, 1), min_size=1, max_size=6))
def test_ids_with_quotes_and_commas_are_read_as_pandas_writes_them(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "pandas.csv"
    pd.DataFrame({"image_id": list(table), "Male": list(table.values())}).to_csv(path, index=False)

    assert read_attributes(path)["Male"].to_dict() == table


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


def test_identities_are_joined_without_a_partition_list(write: Callable[..., Path]) -> None:
    attributes = write(b"image_id,Male\nb.jpg,1\na.jpg,-1\n", "attributes")
    identities = write(b"a.jpg 10\nx.jpg 99\nb.jpg 20\n", "identities")

    expected = pd.DataFrame({"Male": [1, 0], "identity": [20, 10]}, ["b.jpg", "a.jpg"]).astype({"Male": "int8"})
    pd.testing.assert_frame_equal(read_annotations(attributes, identities=identities), expected.rename_axis("image_id"))
    assert list(read_annotations(attributes).columns) == ["Male"]


def test_an_unmatched_id_with_quotes_and_spaces_names_its_line(write: Callable[..., Path]) -> None:
    attributes = write(b'image_id,Male\na.jpg,1\n" b, ""c"".jpg",1\n', "attributes")

    with pytest.raises(FacegenderError, match=r'first: +b, "c".jpg, line 3'):
        read_annotations(attributes, write(b"a.jpg 0\n", "partitions"))


def test_ids_in_one_list_only_are_one_error_with_both_files_and_lines(write: Callable[..., Path]) -> None:
    attributes = write(b"3\nMale\na.jpg 1\nc.jpg 1\nb.jpg 1\n", "attributes")
    partitions = write(b"image_id,partition\nx.jpg,0\na.jpg,0\nw.jpg,0\n", "partitions")

    with pytest.raises(FacegenderError) as raised:
        read_annotations(attributes, partitions)
    assert str(raised.value) == (
        f"{attributes} and {partitions}: they do not list the same images: 2 only in {attributes} "
        f"(first: c.jpg, line 4) and 2 only in {partitions} (first: x.jpg, line 2); "
        "use both from the same copy of the data set, or remove these rows"
    )


def test_an_image_without_identity_is_an_error(write: Callable[..., Path]) -> None:
    attributes = write(b"image_id,Male\na.jpg,1\nb.jpg,1\n", "attributes")
    partitions = write(b"a.jpg 0\nb.jpg 0\n", "partitions")
    identities = write(b"a.jpg 1\nz.jpg 2\n", "identities")

    with pytest.raises(
        FacegenderError, match=r"identities.dat: they do not list .* 1 only in .*attributes.dat \(first: b.jpg"
    ):
        read_annotations(attributes, partitions, identities)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs {SHARED}")
@pytest.mark.parametrize(
    ("name", "rows", "men"), [("congress_aligned", 873, 719), ("faker_portraits_aligned", 198, 100)]
)
def test_real_faces_in_celebas_format(name: str, rows: int, men: int) -> None:
    folder = SHARED / "data" / name
    annotations = read_annotations(folder / "list_attr_celeba.csv", folder / "list_eval_partition.csv")

    assert len(annotations) == rows
    assert annotations["Male"].sum() == men


@pytest.mark.parametrize("content", ["unknown", "unknown\n", "unknown\r\n", ""])
def test_a_file_may_say_that_identities_are_not_known(content: str, tmp_path: Path) -> None:
    attributes, partitions, identities = (tmp_path / name for name in ("attributes", "partitions", "identities"))
    attributes.write_text("image_id,Male\n000001.jpg,1\n")
    partitions.write_text("image_id,partition\n000001.jpg,0\n")
    identities.write_text(content)

    assert list(read_annotations(attributes, partitions, identities).columns) == ["Male", "partition"]


def test_the_file_that_params_yaml_names_says_that_identities_are_not_known() -> None:
    path = ROOT / "params" / "no_identities.txt"

    assert known_identities(path) is None
    # DVC warns of an empty one.
    assert path.stat().st_size


def test_a_list_of_an_image_named_unknown_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "identities").write_text("unknown.jpg 7\n")

    identities = known_identities(tmp_path / "identities")

    assert identities is not None
    assert identities.to_dict() == {"unknown.jpg": 7}
