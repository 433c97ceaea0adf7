"""People's own data in CelebA's format, as the pipeline's own readers see it."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facegender.cli import main
from facegender.data.lists import read_attributes
from facegender.errors import FacegenderError
from facegender.importing.layout import import_data
from facegender.importing.partitions import balanced_counts
from facegender.preparation.partition import sample_splits
from tests.unit.importing.helpers import content, jpeg, read, stored, write


def test_an_imported_folder_per_class_can_be_sampled(classes: Path, tmp_path: Path) -> None:
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


def test_imports_are_reproducible_and_ids_do_not_depend_on_names(classes: Path, tmp_path: Path) -> None:
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


def test_utkface_and_image_formats_that_are_kept(tmp_path: Path) -> None:
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
    # The bytes determine the format, not the name.
    assert [images[image_id] for image_id in table.index] == [jpeg(1), png, jpeg(2)]
    assert [image_id.split(".")[1] for image_id in table.index] == ["jpg", "png", "jpg"]


def test_a_csv_file_with_identities_partitions_and_attributes(tmp_path: Path) -> None:
    source = write(tmp_path / "in", {f"faces/{n}.jpg": jpeg(n) for n in range(4)})
    (source / "list.csv").write_text(
        "path,label,person_id,split,Smiling\nfaces/0.jpg,man,Bob,train,1\nfaces/1.jpg,woman,Ann,val,-1\n"
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
    sources = (tmp_path / "out" / "sources.csv").read_text(encoding="utf-8").splitlines()
    assert sources[0] == "image_id,source,identity"
    assert any(line.endswith(",faces/0.jpg,Bob") for line in sources)


def test_a_source_without_other_attributes_gets_only_male(classes: Path, tmp_path: Path) -> None:
    import_data(classes, tmp_path / "out")

    assert list(read_attributes(tmp_path / "out" / "list_attr_celeba.csv")) == ["Male"]


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

    # The old list of identities belongs to other images; files that the import does not write stay.
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


def test_a_destination_may_be_a_link_to_another_disk(tmp_path: Path) -> None:
    faces = write(tmp_path / "in", {"men/a.jpg": jpeg(1), "women/b.jpg": jpeg(2)})
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as disk:
        (tmp_path / "out").symlink_to(disk)
        import_data(faces, tmp_path / "out")
        assert len(read(tmp_path / "out")) == 2
        assert not [name for name in content(Path(disk)) if "partial" in name]


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("faces", {}, "inside the data to import"),
        ("faces/male/out", {}, "inside the data to import"),
        ("out", {"shares": (0.5, 0.5, 0.5)}, "--shares 0.5 0.5 0.5: shares must be 0 or more and sum to 1; use"),
        ("out", {"shares": (1.5, -0.5, 0.0)}, "shares must be 0 or more and sum to 1"),
        ("out", {"columns": {"path": "x"}}, "without columns or paths to name"),
        ("out", {"kind": "utkface", "male": "x"}, "leave --male out"),
        ("out", {"kind": "csv"}, "holds 0 CSV files"),
        ("out", {"kind": "celeba"}, "no list_attr_celeba.csv or .txt"),
        ("out", {"kind": "utkface"}, "bad images: 40"),
        ("out", {"kind": "utkface", "skip_bad": True}, "no image is No male"),
    ],
)
def test_mistakes_are_errors(classes: Path, tmp_path: Path, target: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FacegenderError) as raised:
        import_data(classes, tmp_path / target, **options)
    assert message in str(raised.value)
    assert not (tmp_path / target / "img_align_celeba.zip").exists()


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """Run `facegender import` and return its exit status or error."""
    monkeypatch.setattr(sys, "argv", ["facegender", "import", *arguments])
    with pytest.raises(SystemExit) as raised:
        main()
    return raised.value.code


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ("params", "params: a folder, not a file; name a file, such as params.yaml"),
        ("out", "out: one of the files that the import writes; name another file with --params"),
        (
            "out/sources.csv",
            "out/sources.csv: one of the files that the import writes; name another file with --params",
        ),
        ("in/a.jpg/params.yaml", "a.jpg: not a folder; name a file in a folder"),
    ],
)
def test_a_params_file_that_cannot_be_written_is_refused_before_the_import(
    params: str, words: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, {"in/a.jpg": jpeg(1), "l.csv": b"path,male\na.jpg,1\n"})

    assert words in command(monkeypatch, "l.csv", "out", "--images", "in", "--params", params)
    assert not Path("out").exists()


def test_the_command_passes_all_options_on(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project, {"in/a.jpg": jpeg(1), "in/b.jpg": jpeg(2), "in/c.jpg": b"bad"})
    Path("l.csv").write_text("p,l,w,s\na.jpg,x,Ann,test\nb.jpg,y,Bob,test\nc.jpg,y,Bob,test\n", encoding="utf-8")
    arguments = ["l.csv", "out", "--images", "in", "--male", "y", "--path-column", "p", "--label-column", "l"]
    arguments += ["--identity-column", "w", "--split-column", "s"]

    assert "bad images: 1" in command(monkeypatch, *arguments)
    assert not Path("out").exists()
    assert command(monkeypatch, *arguments, "--skip-bad") == 0
    assert read(project / "out").sort_values("source")["Male"].tolist() == [0, 1]
    assert read(project / "out")["partition"].tolist() == [2, 2]
    assert command(monkeypatch, *arguments).endswith("would be overwritten; allow it with --force")
    shares = ["--shares", "0", "1", "0", "--seed", "3"]
    assert command(monkeypatch, *arguments, "--skip-bad", "--force", "--kind", "csv", *shares) == 0
    assert read(project / "out")["partition"].tolist() == [1, 1]
    shown = capsys.readouterr()
    assert "identities: 2\n" in shown.out
    assert "Git does not ignore" not in shown.err

    subprocess.run(["git", "init", "--quiet"], check=True)
    assert command(monkeypatch, *arguments, "--skip-bad", "--force") == 0
    line = "Git does not ignore out/img_align_celeba.zip, out/list_attr_celeba.csv, "
    assert line in capsys.readouterr().err
