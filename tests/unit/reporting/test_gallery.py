from pathlib import Path

import numpy as np
import pytest

from facegender.data.images import Pixels, decode_image
from facegender.reporting.gallery import Exhibit, exhibit, read_gallery, write_gallery


def flat(height: int, width: int, shade: int) -> Pixels:
    return np.full((height, width, 3), shade, np.uint8)


def test_exhibits_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = [exhibit("Grey\na.jpg", flat(8, 6, 90), flat(8, 6, 200)), exhibit("„B“", flat(8, 6, 30)), Exhibit("", ())]
    write_gallery(tmp_path / "gallery", written)

    assert read_gallery(tmp_path / "gallery") == written
    assert [path.name for path in sorted((tmp_path / "gallery").glob("*.jpg"))] == [
        "000-0.jpg",
        "000-1.jpg",
        "001-0.jpg",
    ]


def test_a_new_gallery_replaces_the_old_one(tmp_path: Path) -> None:
    write_gallery(tmp_path, [exhibit("old", flat(8, 6, 90))])
    write_gallery(tmp_path, [])

    assert read_gallery(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["gallery.json"]


@pytest.mark.parametrize(
    ("size", "shown"),
    [((218, 178), (218, 178)), ((436, 900), (436, 900)), ((872, 100), (436, 50)), ((5000, 1), (436, 1))],
)
def test_large_images_are_shrunk_in_proportion_and_small_ones_keep_their_size(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    assert decode_image(exhibit("", flat(*size, 120)).jpegs[0], "picture").shape[:2] == shown
