import errno
import gc
import hashlib
import pickle
import select
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from facegender.data.celeba import ATTRIBUTES
from facegender.synthetic import dataset
from facegender.synthetic.copula import sample_attributes
from facegender.synthetic.dataset import write_sample

IMAGES = 24
FILES = ["img_align_celeba.zip", "list_attr_celeba.csv", "list_eval_partition.csv"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, IMAGES, 7)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def members(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(folder / "img_align_celeba.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_folder_holds_only_kaggles_files(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == FILES


def test_the_zip_holds_numbered_jpegs_uncompressed(folder: Path) -> None:
    with zipfile.ZipFile(folder / "img_align_celeba.zip") as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == [f"img_align_celeba/{n:06d}.jpg" for n in range(1, IMAGES + 1)]
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}
    for content in members(folder).values():
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert image is not None
        assert image.shape == (218, 178, 3)


def test_attributes_are_minus_one_or_one(folder: Path) -> None:
    text = (folder / "list_attr_celeba.csv").read_text(encoding="utf-8")
    assert text.startswith("image_id,5_o_Clock_Shadow,Arched_Eyebrows,")
    table = pd.read_csv(folder / "list_attr_celeba.csv")
    assert tuple(table.columns) == ("image_id", *ATTRIBUTES)
    assert table["image_id"].tolist() == [f"{n:06d}.jpg" for n in range(1, IMAGES + 1)]
    np.testing.assert_array_equal(table[list(ATTRIBUTES)], np.where(sample_attributes(IMAGES, 7) == 1, 1, -1))


def test_partitions_are_blocks_of_two_thirds_a_sixth_and_a_sixth(folder: Path) -> None:
    table = pd.read_csv(folder / "list_eval_partition.csv")
    assert table.columns.tolist() == ["image_id", "partition"]
    assert table["image_id"].iloc[-1] == "000024.jpg"
    assert table["partition"].tolist() == [0] * 16 + [1] * 4 + [2] * 4


def test_jpegs_have_their_colour_channels_in_order(folder: Path) -> None:
    drawn = dataset.draw_face(
        dict(zip(ATTRIBUTES, sample_attributes(1, 7).iloc[0].tolist(), strict=True)), np.random.default_rng([7, 0])
    )
    decoded = cv2.imdecode(
        np.frombuffer(members(folder)["img_align_celeba/000001.jpg"], np.uint8), cv2.IMREAD_COLOR_RGB
    )
    assert decoded is not None
    np.testing.assert_allclose(decoded.mean(axis=(0, 1)), drawn.mean(axis=(0, 1)), atol=1)
    assert np.ptp(drawn.mean(axis=(0, 1))) > 4


def test_only_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_sample(tmp_path / "again", IMAGES, 7)
    write_sample(tmp_path / "other", IMAGES, 8)
    assert digests(tmp_path / "again") == digests(folder)
    assert all(members(tmp_path / "other")[name] != content for name, content in members(folder).items())


def test_more_images_keep_the_first_ones(folder: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, IMAGES + 6, 7)
    larger = members(tmp_path)
    assert len(larger) == IMAGES + 6
    assert all(larger[name] == content for name, content in members(folder).items())
    first, more = (pd.read_csv(path / "list_attr_celeba.csv") for path in (folder, tmp_path))
    pd.testing.assert_frame_equal(first, more.head(IMAGES))


def test_a_failure_leaves_the_old_zip_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sample(tmp_path, 4, 7)
    before = digests(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(dataset, "Parallel", fail)
    with pytest.raises(MemoryError):
        write_sample(tmp_path, 4, 8)
    assert digests(tmp_path) == before


def test_what_a_worker_sends_back_arrives_as_a_whole_even_if_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A pipe takes at most PIPE_BUF bytes at once (POSIX). joblib sends many results together, and waits for ever for
    # the rest of a longer message.
    sizes = []

    def parallel(**_: object) -> Callable[[Iterable[Any]], Iterator[Any]]:
        def results(tasks: Iterable[Any]) -> Iterator[Any]:
            for function, arguments, options in tasks:
                result = function(*arguments, **options)
                sizes.append(len(pickle.dumps(result)))
                yield result

        return results

    monkeypatch.setattr(dataset, "Parallel", parallel)
    write_sample(tmp_path, 8, 1)

    assert len(sizes) == 8
    assert max(sizes) < select.PIPE_BUF / 500
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("images", [8, 200])
@pytest.mark.parametrize(("refusing", "named"), [("writestr", r"No space left on device: '.*zip'"), ("__init__", "No")])
def test_what_the_disk_refuses_is_one_error_without_a_warning(
    tmp_path: Path,
    images: int,
    refusing: str,
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    # From 200 images on, other processes draw them. The zip file cannot be opened, or be written.
    def refuse(*_: object) -> None:
        time.sleep(1 if refusing == "__init__" else 0)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, refusing, refuse)
    monkeypatch.setattr(zipfile.ZipFile, "__del__", lambda _: None)

    with pytest.raises(OSError, match=named):
        write_sample(tmp_path, images, 1)

    gc.collect()
    # Other tests' garbage may be collected here too.
    assert [str(warning.message) for warning in recwarn if "tasks" in str(warning.message)] == []
