"""Verified records from a partition table and the raw images, and the stage that stores them."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from facegender.data.images import decode_image
from facegender.data.shards import Record, read_records
from facegender.data.tables import write_csv
from facegender.errors import FacegenderError
from facegender.preparation.preprocess import Outcome, good_records, preprocess
from stages.preprocess import main
from tests.paths import ROOT

# The smallest that params.yaml allows is 75.
HEIGHT, WIDTH = 90, 76


def jpeg(value: int, height: int = HEIGHT, width: int = WIDTH, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (value, value, value)).convert(mode).save(buffer, "JPEG")
    return buffer.getvalue()


GOOD = {"000001.jpg": (jpeg(10), 0), "ü 2.jpg": (jpeg(20), 1), "NA.jpg": (jpeg(30), 0)}
ODD = {
    "grey.jpg": (jpeg(40, mode="L"), 1),
    "large.jpg": (jpeg(50, 200, 200), 0),
    "cmyk.jpg": (jpeg(60, mode="CMYK"), 1),
}
BAD = {
    "empty.jpg": (b"", 0),
    "html.jpg": (b"<html></html>", 1),
    "cut.jpg": (jpeg(70)[:-2], 0),
    "half.jpg": (jpeg(80)[: len(jpeg(80)) // 2], 1),
    # The decoder decodes it and warns of the extra bytes.
    "warned.jpg": (jpeg(90)[:-2] + b"\x12" * 50 + jpeg(90)[-2:], 0),
}
MISSING = "missing.jpg"

Images = dict[str, tuple[bytes, int]]
Run = Callable[..., None]


class Source:
    """Images in memory; counts how many were read."""

    def __init__(self, images: Images) -> None:
        """Keep the images."""
        self.images = images
        self.reads = 0

    def find(self, image_id: str) -> str | None:
        """Return the id itself if there is an image with it."""
        return image_id if image_id in self.images else None

    def read(self, image_id: str) -> bytes:
        """Return an image's bytes."""
        self.reads += 1
        return self.images[image_id][0]


def table_of(images: Images) -> pd.DataFrame:
    return pd.DataFrame({"image_id": list(images), "label": [label for _, label in images.values()]})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the stage on a split of these images and, if asked, one that does not exist."""

    def run_stage(images: Images, on_bad_image: str = "fail", missing: bool = False, form: str = "zip") -> None:
        place = tmp_path / "Bilder für später" / f"img ü {form}"
        place.parent.mkdir(exist_ok=True)
        if form == "zip":
            with zipfile.ZipFile(place, "w") as archive:
                for image_id, (data, _) in images.items():
                    archive.writestr(f"img_align_celeba/{image_id}", data)
        else:
            place.mkdir()
            for image_id, (data, _) in images.items():
                (place / image_id).write_bytes(data)
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["dataset"]["images"] = place.relative_to(tmp_path).as_posix()
        params["preprocess"] = {"height": HEIGHT, "width": WIDTH, "on_bad_image": on_bad_image}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        table = table_of(images | ({MISSING: (b"", 0)} if missing else {}))
        write_csv(tmp_path / "data" / "partition" / "train.csv", table)
        monkeypatch.chdir(tmp_path)
        main("train")

    return run_stage


def metrics(folder: Path) -> Any:
    return json.loads((folder / "metrics" / "preprocess" / "train.json").read_text(encoding="utf-8"))


def failure(run: Run, *arguments: Any, **options: Any) -> str:
    with pytest.raises(SystemExit) as caught:
        run(*arguments, **options)
    return str(caught.value.code)


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_good_images_pass_with_their_ids_labels_and_bytes(run: Run, tmp_path: Path, form: str) -> None:
    run(GOOD, form=form)

    records = list(read_records(tmp_path / "data" / "preprocessed" / "train"))
    assert records == [Record(image_id, label, data) for image_id, (data, label) in GOOD.items()]
    assert metrics(tmp_path) == {"images": 3, "converted": 0, "skipped": 0}


def test_odd_images_are_converted_and_counted(run: Run, tmp_path: Path) -> None:
    run(GOOD | ODD)

    records = list(read_records(tmp_path / "data" / "preprocessed" / "train"))
    assert [record[:2] for record in records] == [(image_id, label) for image_id, (_, label) in (GOOD | ODD).items()]
    assert metrics(tmp_path) == {"images": 6, "converted": 3, "skipped": 0}
    stack = np.stack([decode_image(record.jpeg, record.image_id) for record in records])
    assert stack.shape == (6, HEIGHT, WIDTH, 3)
    # Every image has a single grey value.
    assert np.abs(stack.astype(int) - np.array([10, 20, 30, 40, 50, 60])[:, None, None, None]).max() <= 2


def test_all_bad_images_are_listed_at_once_with_their_rows(run: Run, tmp_path: Path) -> None:
    images = {
        key: (GOOD | BAD)[key]
        for key in ("empty.jpg", "000001.jpg", "html.jpg", "cut.jpg", "ü 2.jpg", "half.jpg", "warned.jpg")
    }

    first, *listed = failure(run, images, missing=True).splitlines()

    assert first.startswith(
        "error: data/partition/train.csv: 6 bad images; fix them, or set preprocess.on_bad_image to skip:"
    )
    expected = ["empty.jpg", "html.jpg", "cut.jpg", "half.jpg", "warned.jpg", MISSING]
    editor = (tmp_path / "data" / "partition" / "train.csv").read_text(encoding="utf-8").splitlines()
    assert len(listed) == len(expected)
    for line, image_id in zip(listed, expected, strict=True):
        found = re.match(r"  row (\d+): (.*)", line)
        assert found is not None
        assert image_id in found[2]
        assert editor[int(found[1]) - 1].split(",")[0] == image_id


def test_a_missing_image_is_named_with_its_source(run: Run) -> None:
    message = failure(run, GOOD, missing=True)

    assert message.splitlines()[1].startswith("  row 5: Bilder für später/img ü zip: no image missing.jpg; ")


def test_missing_raw_data_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(GOOD)
    (tmp_path / "Bilder für später" / "img ü zip").unlink()

    with pytest.raises(SystemExit) as caught:
        main("train")

    assert str(caught.value.code).startswith("error: Bilder für später/img ü zip: ")
    assert "\n" not in str(caught.value.code)


def test_nothing_is_left_behind_by_a_failure(run: Run, tmp_path: Path) -> None:
    failure(run, GOOD | BAD)

    assert list((tmp_path / "data" / "preprocessed").iterdir()) == []
    assert not (tmp_path / "metrics").exists()


def test_a_failure_leaves_the_old_files(run: Run, tmp_path: Path) -> None:
    run(GOOD)
    before = {path: path.read_bytes() for path in (tmp_path / "data" / "preprocessed").rglob("*.zip")}

    failure(run, GOOD | BAD)

    assert {path: path.read_bytes() for path in (tmp_path / "data" / "preprocessed").rglob("*.zip")} == before
    assert metrics(tmp_path)["images"] == 3


def test_bad_images_can_be_skipped_and_are_counted_and_named(
    run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(BAD | GOOD | ODD, on_bad_image="skip", missing=True)

    records = list(read_records(tmp_path / "data" / "preprocessed" / "train"))
    assert [record.image_id for record in records] == list(GOOD | ODD)
    assert metrics(tmp_path) == {"images": 6, "converted": 3, "skipped": 6}
    shown = capfd.readouterr()
    named = [line.split(": ")[1] for line in shown.out.splitlines() if line.startswith("  row ")]
    assert named[:-1] == list(BAD)
    [line] = [line for line in shown.out.splitlines() if "warned.jpg" in line]
    assert re.fullmatch(r"  row 6: warned\.jpg: damaged: Corrupt JPEG data: \d+ extraneous bytes before .*", line)
    assert "Corrupt" not in shown.err


def test_only_the_first_of_many_images_that_were_left_out_are_named(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    run(GOOD | {f"{number}.jpg": (b"", 0) for number in range(23)}, on_bad_image="skip")

    shown = capfd.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in shown if line.startswith("  row ")] == [f"  row {n}" for n in range(5, 25)]
    assert shown[-1] == "  … and 3 more"


def test_a_split_without_a_good_image_fails_even_when_skipping(run: Run, tmp_path: Path) -> None:
    message = failure(run, BAD, on_bad_image="skip")

    assert message.startswith(
        "error: data/partition/train.csv: all images are bad; fix them, or check dataset.images:\n"
    )
    assert len(message.splitlines()) == 1 + len(BAD)
    assert list((tmp_path / "data" / "preprocessed").iterdir()) == []


def test_the_same_input_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    stored = []
    for _ in range(2):
        run(GOOD | ODD)
        stored.append([path.read_bytes() for path in (tmp_path / "data" / "preprocessed").rglob("*.zip")])

    assert stored[0] == stored[1]


def test_images_are_read_one_at_a_time() -> None:
    source = Source(GOOD | ODD)
    records = good_records(preprocess(table_of(source.images), source, HEIGHT, WIDTH), "fail", "train", {}, [])

    for reads in (1, 2, 3):
        next(records)
        assert source.reads == reads


def test_the_listing_comes_after_the_last_image() -> None:
    source = Source({"empty.jpg": BAD["empty.jpg"]} | GOOD)
    counts: dict[str, int] = {}
    records = good_records(preprocess(table_of(source.images), source, HEIGHT, WIDTH), "fail", "val", counts, [])

    passed = [next(records) for _ in GOOD]
    with pytest.raises(FacegenderError, match=r"^data/partition/val\.csv: "):
        next(records)

    assert [record.image_id for record in passed] == list(GOOD)
    assert counts == {"images": 3, "converted": 0, "skipped": 1}


def test_outcomes_come_in_the_order_of_the_rows() -> None:
    images = {key: (GOOD | BAD | ODD)[key] for key in ("large.jpg", "empty.jpg", "000001.jpg")}

    converted, problem, untouched = preprocess(table_of(images), Source(images), HEIGHT, WIDTH)

    assert converted.record is not None
    assert (converted.record.image_id, converted.problem, converted.converted) == ("large.jpg", None, True)
    assert problem.record is None
    assert problem.problem is not None
    assert problem.problem.where == "row 3: empty.jpg"
    assert problem.problem.reason == "the file is empty; get the file again"
    assert untouched == Outcome(Record("000001.jpg", 0, GOOD["000001.jpg"][0]), None, False)
