"""CelebA itself as a source, in the forms in which it is downloaded."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from facegender.errors import FacegenderError
from facegender.importing import celeba_source
from facegender.importing.celeba_source import find_celeba, lay_out_celeba
from facegender.importing.layout import import_data
from facegender.importing.outputs import IMAGES
from facegender.importing.summary import describe
from tests.unit.importing.helpers import jpeg, pack, read, stored, write


@pytest.mark.parametrize("form", ["kaggle", "original", "zip"])
def test_celeba_is_imported_unchanged(form: str, tmp_path: Path) -> None:
    ids = [f"{n:06}.jpg" for n in range(1, 7)]
    nested = {f"img_align_celeba/img_align_celeba/{name}": jpeg(n) for n, name in enumerate(ids)}
    rows = [(name, 1 if n % 2 else -1, 1) for n, name in enumerate(ids)]
    csv = "image_id,Male,Young\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    txt = "6\nMale Young \n" + "".join(f"{a}  {b}  {c}\n" for a, b, c in rows)
    partitions = "".join(f"{name} {n // 2}\n" for n, name in enumerate(ids))
    identities = "".join(f"{name} {70 + n}\n" for n, name in enumerate([*ids, "000007.jpg"]))
    source = tmp_path / "source"
    if form == "original":
        lists = {"Anno/list_attr_celeba.txt": txt, "Anno/identity_CelebA.txt": identities}
        write(
            source,
            {name: text.encode() for name, text in (lists | {"Eval/list_eval_partition.txt": partitions}).items()},
        )
        (source / "Img").mkdir()
        pack(source / "Img" / "img_align_celeba.zip", nested)
    else:
        lists = {
            "list_attr_celeba.csv": csv,
            "list_eval_partition.csv": f"image_id,partition\n{partitions.replace(' ', ',')}",
        }
        files = nested | {name: text.encode() for name, text in lists.items()}
        if form == "zip":
            source = tmp_path / "archive.zip"
            pack(source, files)
        else:
            write(source, files)

    imported = import_data(source, tmp_path / "out")

    table = read(tmp_path / "out")
    assert list(table.index) == ids
    assert table["Male"].tolist() == [0, 1, 0, 1, 0, 1]
    assert table["Young"].tolist() == [1] * 6
    assert table["partition"].tolist() == [0, 0, 1, 1, 2, 2]
    assert list(stored(tmp_path / "out").values()) == [jpeg(n) for n in range(6)]
    assert ("identity" in table) == (form == "original")
    assert "CelebA's own lists and images" in describe(imported)
    if form == "original":
        assert table["identity"].tolist() == [70, 71, 72, 73, 74, 75]
        packed, made = source / "Img" / "img_align_celeba.zip", tmp_path / "out" / "img_align_celeba.zip"
        assert packed.read_bytes() == made.read_bytes()
        assert not packed.samefile(made)


def test_celeba_with_missing_images_and_without_partitions(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {f"img_align_celeba/{n}.jpg": jpeg(n) for n in range(8)})
    rows = "".join(f"{n}.jpg,{1 if n % 2 else -1}\n" for n in range(9))
    write(source, {"list_attr_celeba.csv": f"image_id,Male\n{rows}".encode()})

    with pytest.raises(FacegenderError, match=r"1 of 9 listed images are missing \(first: 8\.jpg\)"):
        import_data(source, tmp_path / "out")
    import_data(source, tmp_path / "out", skip_bad=True, shares=(0.5, 0.25, 0.25))

    table = read(tmp_path / "out")
    assert table.groupby(["partition", "Male"]).size().to_dict() == {
        (0, 0): 2, (0, 1): 2, (1, 0): 1, (1, 1): 1, (2, 0): 1, (2, 1): 1,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_images_of_another_edition_than_the_lists(form: str, tmp_path: Path) -> None:
    images = {f"img_align_celeba/00000{n}.{suffix}": jpeg(n) for n, suffix in enumerate(("png", "PNG", "JPG", "jpg"))}
    rows = "".join(f"00000{n}.jpg,{1 if n % 2 else -1}\n" for n in range(4))
    source = write(tmp_path / "source", {"list_attr_celeba.csv": f"image_id,Male\n{rows}".encode()})
    if form == "zip":
        pack(source / "img_align_celeba.zip", images)
    else:
        write(source, images)

    import_data(source, tmp_path / "out")

    assert stored(tmp_path / "out") == {f"00000{n}.jpg": jpeg(n) for n in range(4)}


def test_zip_members_that_point_outside_are_extracted_inside(tmp_path: Path) -> None:
    (tmp_path / "list_attr_celeba.csv").write_text("not a list", encoding="utf-8")
    names = ["a.jpg", "b.jpg"]
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        outside = f"../../../../..{tmp_path}/list_attr_celeba.csv"
        archive.writestr(outside, "image_id,Male\na.jpg,1\nb.jpg,-1\n")
        archive.writestr("list_eval_partition.csv", "image_id,partition\na.jpg,0\nb.jpg,0\n")
        for number, name in enumerate(names):
            archive.writestr(f"img_align_celeba/{name}", jpeg(number))
    import_data(tmp_path / "archive.zip", tmp_path / "out")
    assert sorted(read(tmp_path / "out").index) == names
    assert (tmp_path / "list_attr_celeba.csv").read_text(encoding="utf-8") == "not a list"


@pytest.mark.parametrize(
    ("attributes", "partitions"),
    [
        ("image_id,Male\na.jpg,7\n", "a.jpg,0\n"),
        ("image_id,Male\na.jpg,1\n", "a.jpg,0\nb.jpg,0\n"),
    ],
)
def test_mistakes_in_the_lists_of_a_zip_name_the_zip(tmp_path: Path, attributes: str, partitions: str) -> None:
    source = tmp_path / "archive.zip"
    lists = {"list_attr_celeba.csv": attributes, "list_eval_partition.csv": partitions}
    pack(source, {name: text.encode() for name, text in lists.items()} | {"a.jpg": jpeg(1)})

    with pytest.raises(FacegenderError) as raised:
        import_data(source, tmp_path / "out")
    message = str(raised.value)
    assert message.startswith(f"{source}/list_attr_celeba.csv")
    # Not the temporary folder that the lists were read from.
    assert message.count(".csv") == message.count(f"{source}/list_")


ALIGNED = jpeg(1, 218, 178)


def celeba(folder: Path, suffix: str = "csv", images: int = 4, **changes: bytes | None) -> Path:
    """Write CelebA's files, with changes by their stem; None leaves a file out."""
    separator, header = (",", True) if suffix == "csv" else (" ", False)
    ids = [f"{n:06}.jpg" for n in range(1, images + 1)]
    rows = "".join(f"{name}{separator}{1 if n % 2 else -1}\n" for n, name in enumerate(ids))
    partitions = "".join(f"{name}{separator}{n // 2 % 3}\n" for n, name in enumerate(ids))
    lists: dict[str, bytes | None] = {
        "list_attr_celeba": (("image_id,Male\n" if header else f"{images}\nMale\n") + rows).encode(),
        "list_eval_partition": (("image_id,partition\n" if header else "") + partitions).encode(),
        **changes,
    }
    write(folder, {f"{stem}.{suffix}": text for stem, text in lists.items() if text is not None})
    return write(folder, {f"img_align_celeba/{name}": ALIGNED for name in ids})


@pytest.mark.parametrize("suffix", ["csv", "txt"])
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_celeba_is_found_as_it_is(suffix: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = celeba(Path("my data") / "celeba", suffix, identity_CelebA=b"".join(b"%06d.jpg 7\n" % n for n in range(9)))
    if form == "zip":
        members = {f"img_align_celeba/{path.name}": path.read_bytes() for path in folder.glob("*/*.jpg")}
        pack(folder / "img_align_celeba.zip", members)

    found = find_celeba(folder)

    assert found.paths == {
        "images": f"my data/celeba/img_align_celeba{'.zip' if form == 'zip' else ''}",
        "attributes": f"my data/celeba/list_attr_celeba.{suffix}",
        "partitions": f"my data/celeba/list_eval_partition.{suffix}",
        "identities": f"my data/celeba/identity_CelebA.{suffix}",
    }
    assert found.annotations["Male"].tolist() == [0, 1, 0, 1]
    assert found.annotations["partition"].tolist() == [0, 0, 1, 1]

    (folder / f"identity_CelebA.{suffix}").unlink()
    assert find_celeba(tmp_path / folder).paths["identities"] == "params/no_identities.txt"


def test_what_is_missing_of_celeba_is_one_line(tmp_path: Path) -> None:
    for number, (changes, message) in enumerate(
        [
            ({"list_attr_celeba": None}, "{}: no attribute list, list_attr_celeba.csv or .txt; put it there"),
            ({"list_eval_partition": None}, "{}: no partition list, list_eval_partition.csv or .txt; put it there"),
            ({"list_eval_partition": b"000001.jpg,0\n"}, "they do not list the same images: 3 only in {}/list_attr"),
            ({"list_attr_celeba": b"image_id,Male\n000001.jpg,5\n"}, "{}/list_attr_celeba.csv: line 2: Male is '5', "),
        ]
    ):
        folder = celeba(tmp_path / str(number), **changes)  # type: ignore[arg-type]
        with pytest.raises(FacegenderError) as raised:
            find_celeba(folder)
        assert message.format(folder) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_celeba_s_images_must_be_whole_and_aligned(tmp_path: Path) -> None:
    folder = celeba(tmp_path / "celeba", images=6)
    images = folder / "img_align_celeba"
    (images / "000002.jpg").unlink()
    (images / "000005.jpg").unlink()
    with pytest.raises(FacegenderError) as raised:
        find_celeba(folder)
    assert str(raised.value) == (
        f"{images}: 2 of 6 listed images are missing (first: 000002.jpg); get them; if you have only a part, run: "
        f"facegender import {folder} data/NAME --skip-bad"
    )

    folder = celeba(tmp_path / "wild")
    (folder / "img_align_celeba" / "000001.jpg").write_bytes(jpeg(1, 300, 178))
    with pytest.raises(
        FacegenderError,
        match=r"000001.jpg has 178x300 pixels, not 178x218: perhaps CelebA's images in the wild; use",
    ):
        find_celeba(folder)

    folder = celeba(tmp_path / "cut")
    (folder / "img_align_celeba.zip").write_bytes(b"PK")
    with pytest.raises(FacegenderError, match=r"img_align_celeba.zip: not a zip file, or a damaged one"):
        find_celeba(folder)


@pytest.mark.parametrize(
    ("near", "shown"),
    [
        ("list_eval_partition (1).csv", "list_eval_partition (1).csv"),
        ("Eval/List_Eval_Partition.CSV", "Eval/List_Eval_Partition.CSV"),
        ("list_eval_partition.csv.gz", "list_eval_partition.csv.gz"),
    ],
)
def test_a_list_with_nearly_the_right_name_is_named(near: str, shown: str, tmp_path: Path) -> None:
    folder = celeba(tmp_path / "celeba")
    (folder / near).parent.mkdir(exist_ok=True)
    (folder / "list_eval_partition.csv").rename(folder / near)

    with pytest.raises(FacegenderError) as raised:
        find_celeba(folder)
    assert str(raised.value) == (
        f"{folder}: no partition list, list_eval_partition.csv or .txt, but {shown}; unpack or rename it"
    )


@pytest.mark.parametrize("name", ["img_align_celeba.zip", "list_attr_celeba.csv", "list_eval_partition.csv"])
def test_pipes_among_celeba_s_files_are_not_waited_for(name: str, tmp_path: Path) -> None:
    folder = celeba(tmp_path / "celeba")
    shutil.rmtree(folder / "img_align_celeba") if name == IMAGES else (folder / name).unlink()
    os.mkfifo(folder / name)

    with pytest.raises(FacegenderError, match=f"{name}: a pipe or a device, not a file; write it to a file first$"):
        find_celeba(folder)


@pytest.mark.parametrize("name", ["aligned", "."])
def test_images_may_be_in_any_folder_beside_the_lists(name: str, tmp_path: Path) -> None:
    folder = celeba(tmp_path / "celeba")
    (folder / name).mkdir(exist_ok=True)
    for path in list((folder / "img_align_celeba").iterdir()):
        path.rename(folder / name / f"{path.stem}.JPG")
    (folder / "img_align_celeba").rmdir()

    assert len(find_celeba(folder).annotations) == 4


def test_images_that_are_missing_or_have_another_name_are_told(tmp_path: Path) -> None:
    folder = celeba(tmp_path / "celeba")
    shutil.rmtree(folder / "img_align_celeba")
    with pytest.raises(FacegenderError) as raised:
        find_celeba(folder)
    assert str(raised.value) == f"{folder}: no img_align_celeba.zip; put it there"

    (folder / "img_align_celeba.7z").write_bytes(b"7z")
    with pytest.raises(FacegenderError) as raised:
        find_celeba(folder)
    assert str(raised.value) == f"{folder}: no img_align_celeba.zip, but img_align_celeba.7z; unpack it"

    # As browsers call a second download.
    (folder / "img_align_celeba (1).zip").write_bytes(b"PK")
    with pytest.raises(FacegenderError) as raised:
        find_celeba(folder)
    assert str(raised.value) == f"{folder}: no img_align_celeba.zip, but img_align_celeba (1).zip; rename it"


def test_a_list_that_cannot_be_unpacked_or_is_too_large_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("list_attr_celeba.csv", "image_id,Male\n" + "1.jpg,1\n" * 10_000)
    monkeypatch.setattr(celeba_source, "_MAX_LIST_BYTES", 10_000)
    with pytest.raises(FacegenderError, match=r"archive\.zip: list_attr_celeba\.csv: 0 MB are more than .* for a list"):
        lay_out_celeba(tmp_path / "archive.zip", tmp_path, skip_bad=False)

    data = bytearray((tmp_path / "archive.zip").read_bytes())
    data[6] = data[data.index(b"PK\x01\x02") + 8] = 1  # Encrypted: APPNOTE.TXT, 4.4.4.
    (tmp_path / "archive.zip").write_bytes(data)
    monkeypatch.undo()
    with pytest.raises(FacegenderError, match=r"archive\.zip: a list cannot be unpacked \(.* is encrypted.*\); down"):
        lay_out_celeba(tmp_path / "archive.zip", tmp_path, skip_bad=False)


def test_a_hostile_name_in_a_zip_is_not_written_outside(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("../../escaped/list_attr_celeba.csv", "image_id,Male\n1.jpg,1\n")
        archive.writestr("/escaped/list_eval_partition.csv", "image_id,partition\n1.jpg,0\n")
        archive.writestr("../1.jpg", jpeg(1))

    table, _, _ = lay_out_celeba(tmp_path / "archive.zip", tmp_path / "out", skip_bad=False)

    assert list(table.index) == ["1.jpg"]
    assert not Path("/escaped").exists()
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(("name", "words"), [("archive.zip", "not a folder"), ("none", "no such folder")])
def test_a_folder_must_be_named(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "archive.zip").touch()

    with pytest.raises(
        FacegenderError, match=f"{name}: {words}; name CelebA's folder; for Kaggle's archive.zip, first"
    ):
        find_celeba(tmp_path / name)
