"""People's own data in CelebA's format, as the pipeline's own readers see it."""

import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from facegender.cli import main
from facegender.data.image_sources import open_images
from facegender.data.images import Pixels, encode_jpeg
from facegender.data.lists import read_annotations, read_attributes
from facegender.errors import FacegenderError
from facegender.importing import layout
from facegender.importing.layout import assign_partitions, balanced_counts, describe, import_data, picture_bytes
from facegender.preparation.partition import sample_splits


def jpeg(number: int, height: int = 24, width: int = 20) -> bytes:
    return encode_jpeg(np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8))


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read(folder: Path) -> pd.DataFrame:
    """Read an imported folder as the stages do, with the column `source` where there is one."""
    identities = folder / "identity_CelebA.txt"
    table = read_annotations(
        folder / "list_attr_celeba.csv",
        folder / "list_eval_partition.csv",
        identities if identities.exists() else None,
    )
    if (folder / "sources.csv").exists():
        sources = pd.read_csv(folder / "sources.csv").drop_duplicates("image_id").set_index("image_id")
        table["source"] = sources["source"]
    return table


def stored(folder: Path) -> dict[Any, bytes]:
    with open_images(folder / "img_align_celeba.zip") as images:
        return {image_id: images.read(image_id) for image_id in read(folder).index}


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    files = {f"{name}/{n}.jpg": jpeg(n + add) for name, add in (("male", 0), ("female", 300)) for n in range(20)}
    return write(tmp_path / "faces", files)


def test_a_folder_per_class_becomes_what_the_pipeline_samples(classes: Path, tmp_path: Path) -> None:
    before = content(classes)

    imported = import_data(classes, tmp_path / "new" / "out")

    table = read(tmp_path / "new" / "out")
    # Both folders have files of the same names.
    assert len(table) == 40
    assert {row.source: row.Male for row in table.itertuples()} == {
        f"{name}/{n}.jpg": int(name == "male") for name in ("male", "female") for n in range(20)
    }
    images = stored(tmp_path / "new" / "out")
    assert all(images[str(row.Index)] == before[str(row.source)] for row in table.itertuples())
    assert balanced_counts(imported.annotations) == {"train": 32, "val": 4, "test": 4}
    splits = sample_splits(table, {"train": 32, "val": 4, "test": 4}, 120)
    assert sum(map(len, splits.values())) == 40
    assert content(classes) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "new"]


def test_the_same_bytes_every_time_and_ids_that_names_do_not_change(classes: Path, tmp_path: Path) -> None:
    import_data(classes, tmp_path / "a")
    import_data(classes, tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")
    with zipfile.ZipFile(tmp_path / "a" / "img_align_celeba.zip") as archive:
        members = archive.infolist()
    assert [member.filename for member in members] == sorted(member.filename for member in members)
    assert {(member.compress_type, member.date_time[0]) for member in members} == {(zipfile.ZIP_STORED, 1980)}

    (classes / "male" / "0.jpg").rename(classes / "male" / "other.jpg")
    import_data(classes, tmp_path / "c")
    assert content(tmp_path / "c")["img_align_celeba.zip"] == content(tmp_path / "a")["img_align_celeba.zip"]


def test_utkface_and_kept_kinds_of_pictures(tmp_path: Path) -> None:
    png = bytes(cv2.imencode(".png", np.full((30, 30, 3), 7, np.uint8))[1])
    source = write(
        tmp_path / "utk",
        {
            "26_0_2_20170104023102422.jpg": jpeg(1),
            "26_1_2_20170104023102423.jpg": png,
            "26_1_2_20170104023102424.png": jpeg(2),
        },
    )

    import_data(source, tmp_path / "out", shares=(1, 0, 0))

    table = read(tmp_path / "out").sort_values("source")
    assert table["Male"].tolist() == [1, 0, 0]
    images = stored(tmp_path / "out")
    # The bytes tell the kind, whatever the name says.
    assert [images[image_id] for image_id in table.index] == [jpeg(1), png, jpeg(2)]
    assert [image_id.split(".")[1] for image_id in table.index] == ["jpg", "png", "jpg"]


def test_a_csv_with_persons_partitions_and_attributes(tmp_path: Path) -> None:
    source = write(tmp_path / "in", {f"faces/{n}.jpg": jpeg(n) for n in range(4)})
    (source / "list.csv").write_text(
        "path,label,person,split,Smiling\nfaces/0.jpg,man,Bob,train,1\nfaces/1.jpg,woman,Ann,val,-1\n"
        "faces/2.jpg,woman,,test,1\nfaces/3.jpg,man,Bob,train,1\n",
        encoding="utf-8",
    )

    import_data(source / "list.csv", tmp_path / "out")

    table = read(tmp_path / "out").sort_values("source")
    assert table["Male"].tolist() == [1, 0, 0, 1]
    assert table["Smiling"].tolist() == [1, 0, 1, 1]
    assert table["partition"].tolist() == [0, 1, 2, 0]
    bob, ann, nobody, bob_again = table["identity"]
    assert bob == bob_again
    assert len({bob, ann, nobody}) == 3
    assert "faces/0.jpg,Bob" in (tmp_path / "out" / "sources.csv").read_text(encoding="utf-8")


def test_a_gif_that_a_csv_names_becomes_a_jpeg(tmp_path: Path) -> None:
    gif = bytes(cv2.imencode(".gif", np.full((30, 30, 3), 7, np.uint8))[1])
    source = write(tmp_path / "in", {"a.gif": gif, "b.jpg": jpeg(1), "l.csv": b"path,label\na.gif,1\nb.jpg,0\n"})

    import_data(source, tmp_path / "out")

    table = read(tmp_path / "out").sort_values("source")
    assert stored(tmp_path / "out")[table.index[0]].startswith(b"\xff\xd8")


def test_bad_pictures_are_all_listed_and_nothing_is_written(classes: Path, tmp_path: Path) -> None:
    write(classes, {"male/bad.jpg": jpeg(500)[:-9], "female/empty.jpg": b"", "other/x.jpg": jpeg(501)})
    write(classes, {"male/empty.jpg": b""})

    with pytest.raises(FacegenderError) as raised:
        import_data(classes, tmp_path / "out")
    lines = str(raised.value).split("\n")
    assert lines[0] == (f"{classes}: bad pictures: 4; mend them, or leave them out with --skip-bad:")
    assert {line.split(":")[0].strip() for line in lines[1:]} == {
        "female/empty.jpg", "male/bad.jpg", "male/empty.jpg", "other/x.jpg",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]

    imported = import_data(classes, tmp_path / "out", skip_bad=True)
    assert len(read(tmp_path / "out")) == len(stored(tmp_path / "out")) == 40
    with zipfile.ZipFile(tmp_path / "out" / "img_align_celeba.zip") as archive:
        assert len(archive.namelist()) == 40
    printed = describe(imported)
    assert "left out: 4\n" in printed
    assert "male/bad.jpg: a JPEG that is cut short" in printed


def test_a_csv_row_without_its_file_is_a_bad_picture(tmp_path: Path) -> None:
    source = write(tmp_path, {"b.jpg": jpeg(1), "l.csv": b"path,label\na.jpg,1\nb.jpg,0\n"})

    with pytest.raises(FacegenderError, match=r"a\.jpg: No such file"):
        import_data(source / "l.csv", tmp_path / "out")


def test_copies_under_two_labels_are_an_error_that_names_both(classes: Path, tmp_path: Path) -> None:
    write(classes, {"female/copy.jpg": jpeg(3), "male/again.jpg": jpeg(3)})

    lines = [
        "female/copy.jpg: the same picture as male/3.jpg, which is Male",
        "male/3.jpg: the same picture as female/copy.jpg, which is No male",
        "male/again.jpg: the same picture as female/copy.jpg, which is No male",
    ]
    with pytest.raises(FacegenderError, match="bad pictures: 3;.*\n  " + "\n  ".join(lines)):
        import_data(classes, tmp_path / "out")
    imported = import_data(classes, tmp_path / "out", skip_bad=True)

    assert imported.problems == lines
    assert len(stored(tmp_path / "out")) == 39


def test_copies_of_two_persons_are_an_error(tmp_path: Path) -> None:
    source = write(tmp_path / "in", {name: jpeg(1) for name in ("a.jpg", "b.jpg", "c.jpg")})
    (source / "l.csv").write_text("path,label,person\na.jpg,1,Bob\nb.jpg,1,\nc.jpg,1,Tom\n", encoding="utf-8")

    with pytest.raises(FacegenderError, match=r"bad pictures: 3;") as raised:
        import_data(source, tmp_path / "out")
    assert str(raised.value).split("\n")[1:] == [
        "  a.jpg: the same picture as c.jpg, which is 'Tom'",
        "  b.jpg: the same picture as a.jpg, which is 'Bob'",
        "  c.jpg: the same picture as a.jpg, which is 'Bob'",
    ]


def test_of_copies_under_one_label_one_is_kept_in_one_partition(tmp_path: Path) -> None:
    source = write(tmp_path / "in", {"a.jpg": jpeg(1), "b.png": jpeg(1), "c.jpg": jpeg(2)})
    (source / "l.csv").write_text(
        "path,label,split,person\na.jpg,1,test,\nb.png,1,train,Bob\nc.jpg,0,val,Ann\n", encoding="utf-8"
    )

    imported = import_data(source, tmp_path / "out")

    table = read(tmp_path / "out")
    assert table.sort_values("Male")["partition"].tolist() == [1, 0]
    assert table["source"].tolist().count("a.jpg") == 1
    assert (tmp_path / "out" / "sources.csv").read_text(encoding="utf-8").count("Bob") == 2
    assert "copies left out: 1, with the very bytes of another" in describe(imported)


@pytest.mark.parametrize("form", ["kaggle", "original", "zip"])
def test_celeba_is_laid_out_as_it_is(form: str, tmp_path: Path) -> None:
    ids = [f"{n:06}.jpg" for n in range(1, 7)]
    nested = {f"img_align_celeba/img_align_celeba/{name}": jpeg(n) for n, name in enumerate(ids)}
    rows = [(name, 1 if n % 2 else -1, 1) for n, name in enumerate(ids)]
    csv = "image_id,Male,Young\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    txt = "6\nMale Young \n" + "".join(f"{a}  {b}  {c}\n" for a, b, c in rows)
    partitions = "".join(f"{name} {n // 2}\n" for n, name in enumerate(ids))
    persons = "".join(f"{name} {70 + n}\n" for n, name in enumerate([*ids, "000007.jpg"]))
    source = tmp_path / "source"
    if form == "original":
        lists = {"Anno/list_attr_celeba.txt": txt, "Anno/identity_CelebA.txt": persons}
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


def pack(path: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def test_celeba_without_all_images_or_partitions(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {f"img_align_celeba/{n}.jpg": jpeg(n) for n in range(8)})
    rows = "".join(f"{n}.jpg,{1 if n % 2 else -1}\n" for n in range(9))
    write(source, {"list_attr_celeba.csv": f"image_id,Male\n{rows}".encode()})

    with pytest.raises(FacegenderError, match=r"1 of 9 listed images are not there \(first: 8\.jpg\)"):
        import_data(source, tmp_path / "out")
    import_data(source, tmp_path / "out", skip_bad=True, shares=(0.5, 0.25, 0.25))

    table = read(tmp_path / "out")
    assert table.groupby(["partition", "Male"]).size().to_dict() == {
        (0, 0): 2, (0, 1): 2, (1, 0): 1, (1, 1): 1, (2, 0): 1, (2, 1): 1,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["archive.zip", "notes.txt"])
def test_a_file_that_is_no_zip(name: str, tmp_path: Path) -> None:
    write(tmp_path, {name: b"no zip"})

    with pytest.raises(FacegenderError, match=f"{name}: neither a folder, a csv nor a whole zip"):
        import_data(tmp_path / name, tmp_path / "out")


def test_nothing_is_overwritten_without_force(classes: Path, tmp_path: Path) -> None:
    out = write(
        tmp_path / "out", {"identity_CelebA.txt": b"old", "sources.csv": b"old", "img_align_celeba.zip.dvc": b"x"}
    )

    with pytest.raises(
        FacegenderError, match=r"identity_CelebA\.txt, sources\.csv would be overwritten; allow it with"
    ):
        import_data(classes, out)
    assert len(content(out)) == 3
    import_data(classes, out, force=True)

    # The old list of persons is of other pictures; what the import does not write stays.
    assert sorted(content(out)) == [
        "img_align_celeba.zip",
        "img_align_celeba.zip.dvc",
        "list_attr_celeba.csv",
        "list_eval_partition.csv",
        "sources.csv",
    ]
    assert len(read(out)) == 40


def test_a_failed_import_leaves_the_old_files(classes: Path, tmp_path: Path) -> None:
    import_data(classes, tmp_path / "out")
    before = content(tmp_path / "out")
    write(classes, {"male/bad.jpg": b"bad"})

    with pytest.raises(FacegenderError):
        import_data(classes, tmp_path / "out", force=True)
    assert content(tmp_path / "out") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "out"]


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("faces", {}, "inside the data to import"),
        ("faces/male/out", {}, "inside the data to import"),
        ("out", {"shares": (0.5, 0.5, 0.5)}, "--shares 0.5 0.5 0.5: give three numbers from 0 that sum to 1"),
        ("out", {"shares": (1.5, -0.5, 0.0)}, "give three numbers from 0 that sum to 1"),
        ("out", {"columns": {"path": "x"}}, "no columns and paths to name"),
        ("out", {"kind": "utkface", "male": "x"}, "leave --male out"),
        ("out", {"kind": "csv"}, "holds 0 csv files"),
        ("out", {"kind": "celeba"}, "no list_attr_celeba.csv or .txt"),
        ("out", {"kind": "utkface"}, "bad pictures: 40"),
        ("out", {"kind": "utkface", "skip_bad": True}, "no picture is No male"),
    ],
)
def test_mistakes_are_told(classes: Path, tmp_path: Path, target: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FacegenderError) as raised:
        import_data(classes, tmp_path / target, **options)
    assert message in str(raised.value)
    assert not (tmp_path / target / "img_align_celeba.zip").exists()


def test_the_block_for_params_and_the_line_for_dvc(
    classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    printed = describe(import_data(Path("faces"), Path("my data/ours")))

    block = yaml.safe_load(printed[printed.index("dataset:\n") : printed.index("\nand under")])
    assert block == {
        "dataset": {
            "images": "my data/ours/img_align_celeba.zip",
            "attributes": "my data/ours/list_attr_celeba.csv",
            "partitions": "my data/ours/list_eval_partition.csv",
            "identities": "params/no_identities.txt",
        }
    }
    assert "{train: 32, val: 4, test: 4}" in printed
    assert printed.endswith(
        "dvc add 'my data/ours/img_align_celeba.zip' 'my data/ours/list_attr_celeba.csv' "
        "'my data/ours/list_eval_partition.csv' 'my data/ours/sources.csv'\n"
        "and commit the .dvc files: git add 'my data/ours/img_align_celeba.zip.dvc' "
        "'my data/ours/list_attr_celeba.csv.dvc' 'my data/ours/list_eval_partition.csv.dvc' "
        "'my data/ours/sources.csv.dvc'"
    )
    assert "kind: a folder per class: female is No male, male is Male" in printed


def test_a_class_that_a_partition_lacks_is_explained(classes: Path, tmp_path: Path) -> None:
    printed = describe(import_data(classes, tmp_path / "out", shares=(0.9, 0.1, 0)))

    assert "test: 0 pictures, 0 No male, 0 Male; the pipeline needs both classes here" in printed
    assert "outside this folder, where DVC cannot version it" in printed


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """Run `facegender import` and give what it exits with."""
    monkeypatch.setattr(sys, "argv", ["facegender", "import", *arguments])
    with pytest.raises(SystemExit) as raised:
        main()
    return raised.value.code


def test_the_command_passes_all_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(write(tmp_path, {"in/a.jpg": jpeg(1), "in/b.jpg": jpeg(2), "in/c.jpg": b"bad"}))
    Path("l.csv").write_text("p,l,w,s\na.jpg,x,Ann,test\nb.jpg,y,Bob,test\nc.jpg,y,Bob,test\n", encoding="utf-8")
    arguments = ["l.csv", "out", "--images", "in", "--male", "y", "--path-column", "p", "--label-column", "l"]
    arguments += ["--person-column", "w", "--split-column", "s"]

    assert "bad pictures: 1" in command(monkeypatch, *arguments)
    assert not Path("out").exists()
    assert command(monkeypatch, *arguments, "--skip-bad") == 0
    assert read(tmp_path / "out").sort_values("source")["Male"].tolist() == [0, 1]
    assert read(tmp_path / "out")["partition"].tolist() == [2, 2]
    assert command(monkeypatch, *arguments).endswith("would be overwritten; allow it with --force")
    shares = ["--shares", "0", "1", "0", "--seed", "3"]
    assert command(monkeypatch, *arguments, "--skip-bad", "--force", "--kind", "csv", *shares) == 0
    assert read(tmp_path / "out")["partition"].tolist() == [1, 1]
    assert "persons: 2\n" in capsys.readouterr().out


def stand_in(monkeypatch: pytest.MonkeyPatch, faces: int) -> list[tuple[str, int, int]]:
    """Put a detector of faces in place of the real one; give the list of what it was asked."""
    asked = []

    def aligned_faces(image: Pixels, mode: str, height: int, width: int) -> list[tuple[None, Pixels]]:
        asked.append((mode, height, width))
        return [(None, np.full((height, width, 3), 200, np.uint8))] * faces

    monkeypatch.setattr(layout, "aligned_faces", aligned_faces)
    return asked


def test_a_destination_may_be_a_link_to_another_disk(tmp_path: Path) -> None:
    faces = write(tmp_path / "in", {"men/a.jpg": jpeg(1), "women/b.jpg": jpeg(2)})
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as disk:
        (tmp_path / "out").symlink_to(disk)
        import_data(faces, tmp_path / "out")
        assert len(read(tmp_path / "out")) == 2
        assert not [name for name in content(Path(disk)) if "partial" in name]


def test_a_zip_whose_members_point_outside_is_read_from_within(tmp_path: Path) -> None:
    (tmp_path / "list_attr_celeba.csv").write_text("no list", encoding="utf-8")
    names = ["a.jpg", "b.jpg"]
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        outside = f"../../../../..{tmp_path}/list_attr_celeba.csv"
        archive.writestr(outside, "image_id,Male\na.jpg,1\nb.jpg,-1\n")
        archive.writestr("list_eval_partition.csv", "image_id,partition\na.jpg,0\nb.jpg,0\n")
        for number, name in enumerate(names):
            archive.writestr(f"img_align_celeba/{name}", jpeg(number))
    import_data(tmp_path / "archive.zip", tmp_path / "out")
    assert sorted(read(tmp_path / "out").index) == names


def test_the_one_face_is_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stand_in(monkeypatch, 1)

    aligned = picture_bytes(jpeg(1), "a.png", "always")

    assert aligned == encode_jpeg(np.full((218, 178, 3), 200, np.uint8))
    assert asked == [("always", 218, 178)]
    # What is aligned already keeps its bytes.
    already = encode_jpeg(np.full((218, 178, 3), 200, np.uint8))
    assert picture_bytes(already, "a.jpg", "auto") == already


@pytest.mark.parametrize(("faces", "found"), [(0, "no face"), (2, "2 faces")])
def test_none_or_several_faces_are_a_bad_picture(
    classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faces: int, found: str
) -> None:
    stand_in(monkeypatch, faces)

    with pytest.raises(FacegenderError, match=f"bad pictures: 40(.|\n)*male/0.jpg: {found} found, but its"):
        import_data(classes, tmp_path / "out", align="auto")


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=1, max_size=60),
    st.integers(0, 2**64 - 1),
    st.permutations(range(60)),
)
def test_no_person_is_in_two_partitions(rows: list[tuple[int, int]], seed: int, order: list[int]) -> None:
    index = [f"{n}.jpg" for n in range(len(rows))]
    labels = pd.Series([label for label, _ in rows], index)
    persons = pd.Series([str(person) for _, person in rows], index)

    partition = assign_partitions(labels, persons, (0.6, 0.2, 0.2), seed)

    assert partition.groupby(persons).nunique().max() == 1
    shuffled = [index[n] for n in order if n < len(rows)]
    again = assign_partitions(labels[shuffled], persons[shuffled], (0.6, 0.2, 0.2), seed)
    assert again[index].equals(partition)


def test_shares_are_kept_within_each_class_and_seeds_differ() -> None:
    labels = pd.Series([0] * 100 + [1] * 20, [f"{n}.jpg" for n in range(120)])

    one, two = (assign_partitions(labels, None, (0.8, 0.1, 0.1), seed) for seed in (1, 2))

    assert one.groupby([labels, one]).size().tolist() == [80, 10, 10, 16, 2, 2]
    assert not one.equals(two)


def test_persons_bring_the_shares_near() -> None:
    labels = pd.Series([0, 1] * 500, [f"{n}.jpg" for n in range(1000)])
    persons = pd.Series([str(n % 200) for n in range(1000)], labels.index)

    partition = assign_partitions(labels, persons, (0.8, 0.1, 0.1), 120)

    assert partition.value_counts().sort_index().tolist() == [800, 100, 100]


def test_other_attributes_than_male_stay_out_where_there_are_none(classes: Path, tmp_path: Path) -> None:
    import_data(classes, tmp_path / "out")

    assert list(read_attributes(tmp_path / "out" / "list_attr_celeba.csv")) == ["Male"]
