from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd
import pytest

from facegender.data.celeba import ATTRIBUTES
from facegender.reporting import pictures

Draw = Callable[[Path], None]

SLICES = pd.DataFrame(
    {"class": ["Male", "Male", "No male"], "slice": ["Hat", "not Hat", "Hat"], "images": [40, 60, 50]}
    | {"recall": [0.5, 0.9, 0.8], "low": [0.4, 0.7, 0.7], "high": [0.6, 0.95, 0.9], "beyond": [0.2, 0, 0]}
)

FACES = [np.full((218, 178, 3), shade, dtype=np.uint8) for shade in (20, 120, 220)]
DRAWINGS: dict[str, Draw] = {
    "bar_chart": lambda path: pictures.bar_chart(path, ["No male", "Male"], [3, 2.5], "Classes", "images"),
    "interval_chart": lambda path: pictures.interval_chart(path, SLICES, {"Male": 0.8, "No male": 0.8}, "Slices"),
    "interval_chart of none": lambda path: pictures.interval_chart(path, SLICES[:0], {"Male": 0.8}, "Slices"),
    "heat_map": lambda path: pictures.heat_map(path, ATTRIBUTES, np.eye(40), "Correlation"),
    "image_grid": lambda path: pictures.image_grid(path, FACES, ["one", "two\nlines", "three"], "Faces", columns=2),
    "image_grid of none": lambda path: pictures.image_grid(path, [], [], "No mistakes"),
}


def _pixels(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image[..., ::-1])


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())
def test_the_same_content_gives_the_same_bytes_under_any_matplotlib_style(draw: Draw, tmp_path: Path) -> None:
    draw(tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.facecolor": "green"}):
        draw(tmp_path / "two.png")
    content = (tmp_path / "one.png").read_bytes()
    assert content == (tmp_path / "two.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    # A date or a version would change the bytes of an unchanged picture.
    assert b"Matplotlib" not in content
    assert b"tIME" not in content
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["one.png", "two.png"]


def test_another_value_gives_another_picture(tmp_path: Path) -> None:
    pictures.bar_chart(tmp_path / "one.png", ["a", "b"], [1, 2], "title", "images")
    pictures.bar_chart(tmp_path / "two.png", ["a", "b"], [1, 3], "title", "images")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()


def test_the_first_bar_is_on_top(tmp_path: Path) -> None:
    pictures.bar_chart(tmp_path / "bars.png", ["long", "short"], [10, 1], "title", "images")
    blue = (_pixels(tmp_path / "bars.png") == (31, 119, 180)).all(axis=2).sum(axis=1)
    top, bottom = blue[: len(blue) // 2].max(), blue[len(blue) // 2 :].max()
    assert top == pytest.approx(10 * bottom, rel=0.05)


def test_the_heat_map_has_red_for_1_blue_for_minus_1_and_room_for_40_names(tmp_path: Path) -> None:
    pictures.heat_map(tmp_path / "map.png", ATTRIBUTES, -np.eye(40), "title")
    picture = _pixels(tmp_path / "map.png")
    # A row of 9 point text is 9 / 72 of an inch high: room for 40 rows without overlap.
    assert min(picture.shape[:2]) > 40 * 100 * 9 / 72 * 1.5
    darkest_blue, darkest_red = np.array([5, 48, 97]), np.array([103, 0, 31])
    count = {name: (picture == color).all(axis=2).sum() for name, color in (("b", darkest_blue), ("r", darkest_red))}
    assert count["b"] > 40 * 15 * 15
    assert count["r"] < count["b"] / 10


def test_the_image_grid_shows_each_image_at_its_own_size_and_in_its_own_colours(tmp_path: Path) -> None:
    red, blue = np.zeros((218, 178, 3), dtype=np.uint8), np.zeros((218, 178, 3), dtype=np.uint8)
    red[..., 0], blue[..., 2] = 250, 240
    pictures.image_grid(tmp_path / "grid.png", [red, blue], ["red", "blue"], "title")
    picture = _pixels(tmp_path / "grid.png")
    for color in ((250, 0, 0), (0, 0, 240)):
        shown = (picture == color).all(axis=2)
        assert shown.sum() == pytest.approx(218 * 178, rel=0.02)
    columns = [(picture == color).all(axis=2).any(axis=0).argmax() for color in ((250, 0, 0), (0, 0, 240))]
    assert columns[0] < columns[1]


def test_long_captions_make_the_picture_higher_and_are_not_cut(tmp_path: Path) -> None:
    pictures.image_grid(tmp_path / "short.png", FACES, ["short"] * 3, "title")
    pictures.image_grid(tmp_path / "long.png", FACES, [", ".join(ATTRIBUTES)] * 3, "title")
    short, long = _pixels(tmp_path / "short.png"), _pixels(tmp_path / "long.png")
    assert len(long) > len(short) + 100
    # The last rows of pixels are blank: the text ends above them.
    assert (long[-4:] == 255).all()
    assert (short[-4:] == 255).all()


def test_too_few_captions_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        pictures.image_grid(tmp_path / "grid.png", FACES, ["one"], "title")
    assert not list(tmp_path.iterdir())


def test_a_long_title_is_wrapped_and_not_cut(tmp_path: Path) -> None:
    pictures.image_grid(tmp_path / "short.png", FACES[:1], [""], "title")
    pictures.image_grid(tmp_path / "long.png", FACES[:1], [""], "a title of one picture that is far too long " * 3)
    short, long = _pixels(tmp_path / "short.png"), _pixels(tmp_path / "long.png")
    assert len(long) > len(short) + 30
    # The first and last columns of pixels are blank.
    assert (long[:, :4] == 255).all()
    assert (long[:, -4:] == 255).all()


def test_only_slices_that_stand_out_are_red(tmp_path: Path) -> None:
    shown = {}
    for name, rows in {"one": SLICES, "none": SLICES.assign(beyond=0.0)}.items():
        pictures.interval_chart(tmp_path / f"{name}.png", rows, {"Male": 0.8}, "title")
        shown[name] = int((_pixels(tmp_path / f"{name}.png") == (214, 39, 40)).all(axis=2).sum())
    assert shown["one"] > 50
    assert shown["none"] == 0
