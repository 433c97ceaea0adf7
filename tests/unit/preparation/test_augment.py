"""Random transformations, and the stage that stores them."""

import hashlib
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from facegender.data.images import Pixels, decode_image, encode_jpeg
from facegender.data.shards import Record, read_shard, write_shards
from facegender.errors import FacegenderError
from facegender.preparation.augment import (
    TRANSFORMATIONS_FILE,
    Draws,
    Ranges,
    affine_map,
    augment_record,
    draw_copy,
    fresh_image,
    read_transformations,
    transform_image,
    write_transformations,
)
from facegender.reporting.gallery import read_gallery
from stages import augment as stage
from tests.paths import ROOT

HEIGHT, WIDTH = 61, 41
STILL = Ranges(
    rotation=0,
    zoom=0,
    horizontal_flip=False,
    vertical_flip=False,
    width_shift=0,
    height_shift=0,
    shear=0,
    brightness=0,
    contrast=0,
    colour=0,
)
LIVELY = STILL._replace(
    rotation=10, zoom=0.2, horizontal_flip=True, vertical_flip=True, width_shift=0.1, height_shift=0.3
)
MIDDLE = Draws(*[0.0] * len(Draws._fields))
"""A copy in the middle of each range, which is like the original."""


def moved_mark(offset: tuple[float, float], ranges: Ranges, draws: Draws) -> tuple[float, float]:
    """Put a mark at this offset (x to the right, y down) from the centre, and return where it is afterwards."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    right, down = columns - (WIDTH - 1) / 2, rows - (HEIGHT - 1) / 2
    mark = 255 * np.exp(-((right - offset[0]) ** 2 + (down - offset[1]) ** 2) / (2 * 1.5**2))
    image = np.repeat(np.rint(mark).astype(np.uint8)[..., None], 3, axis=2)
    moved = transform_image(image, ranges, draws)[..., 0].astype(float)
    return (right * moved).sum() / moved.sum(), (down * moved).sum() / moved.sum()


def noise(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def record(number: int) -> Record:
    return Record(f"ü {number}.jpg", number % 2, encode_jpeg(cv2.blur(noise(number), (9, 9)).astype(np.uint8)))


def matrices(ranges: Ranges, count: int, seed: int = 1) -> npt.NDArray[np.float64]:
    return np.stack([affine_map(ranges, draw_copy(seed, f"{number}.jpg", 1), HEIGHT, WIDTH) for number in range(count)])


def test_a_copy_depends_only_on_seed_id_and_copy_number() -> None:
    forwards = [augment_record(record(number), LIVELY, 5, copy) for number in range(3) for copy in (1, 2)]
    backwards = [augment_record(record(number), LIVELY, 5, copy) for number in (2, 1, 0) for copy in (2, 1)]

    assert forwards == backwards[::-1]
    jpegs = {copied.jpeg for copied in forwards}
    assert len(jpegs) == 6
    assert jpegs.isdisjoint(
        augment_record(record(number), LIVELY, 6, copy).jpeg for number in range(3) for copy in (1, 2)
    )
    assert [(copied.image_id, copied.label) for copied in forwards[::2]] == [
        (record(number).image_id, number % 2) for number in range(3)
    ]


def test_draws_of_other_seeds_ids_and_copies_differ() -> None:
    keys = [(1, "1.jpg", 1), (11, "1.jpg", 1), (1, "1.jpg", 11), (1, "11.jpg", 1), (2, "1.jpg", 1), (1, "1.jpg", 2)]

    assert len({draw_copy(*key) for key in keys}) == len(keys)
    assert draw_copy(*keys[0]) == draw_copy(*keys[0])


def test_the_draws_are_those_of_stored_copies() -> None:
    # BLAKE2b of "120/1/000001.jpg", 16 bytes, is the key of Philox. Fixed here, as every stored copy depends on it.
    # The colours come last, so that they leave the geometry of copies that were stored without them.
    assert draw_copy(120, "000001.jpg", 1) == Draws(
        rotation=0.6092888715048745,
        shear=-0.637356780508473,
        width_shift=-0.40921444649303695,
        height_shift=-0.35672697294467426,
        zoom_x=0.7440379014404488,
        zoom_y=0.49692442119972613,
        mirror_x=2 * 0.23721398918394454 - 1,
        mirror_y=2 * 0.9269203275666998 - 1,
        brightness=0.21492962545824756,
        contrast=-0.8251765868276115,
        colour=-0.6576069997722283,
    )


@pytest.mark.parametrize(
    ("ranges", "digest"),
    [
        (
            STILL._replace(rotation=10, zoom=0.2, horizontal_flip=True),
            "913ec6aa444715c5",
        ),
        (
            LIVELY._replace(rotation=180, zoom=0.5, width_shift=0.5, height_shift=0.5, shear=40),
            "6a54cb77fc65e22a",
        ),
    ],
)
def test_the_geometry_is_that_of_stored_copies(ranges: Ranges, digest: str) -> None:
    # To 1e-9: the last digits of sines differ between machines, and change no pixel.
    digits = [f"{number:.9f}" for number in (matrices(ranges, 100, seed=120).round(9) + 0.0).ravel()]

    assert hashlib.blake2b(" ".join(digits).encode(), digest_size=8).hexdigest() == digest


def test_fresh_images_do_not_depend_on_order_or_threads() -> None:
    ranges = LIVELY._replace(brightness=0.2, contrast=0.2, colour=0.2)
    keys = [(number, epoch) for number in range(10) for epoch in (1, 2, 3)]
    records = [record(number) for number in range(10)]

    def image(key: tuple[int, int]) -> bytes:
        return fresh_image(records[key[0]], ranges, 120, key[1]).tobytes()

    in_order = {key: image(key) for key in keys}
    shuffled = random.Random(0).sample(keys, len(keys))
    with ThreadPoolExecutor(4) as pool:
        assert dict(zip(shuffled, pool.map(image, shuffled), strict=True)) == in_order
    assert len(set(in_order.values())) == len(keys)


def test_an_epoch_shows_the_pixels_of_the_copy_with_its_number() -> None:
    ranges = LIVELY._replace(brightness=0.2, contrast=0.2, colour=0.2)

    for epoch in (1, 2, 3):
        shown = fresh_image(record(1), ranges, 5, epoch)
        assert augment_record(record(1), ranges, 5, epoch) == record(1)._replace(jpeg=encode_jpeg(shown))


def test_the_same_pixels_under_another_id_are_transformed_in_another_way() -> None:
    original = record(1)
    renamed = original._replace(image_id="another.jpg")

    shown = fresh_image(original, LIVELY, 5, 1)
    assert np.array_equal(
        shown, transform_image(decode_image(original.jpeg, ""), LIVELY, draw_copy(5, original.image_id, 1))
    )
    assert not np.array_equal(fresh_image(renamed, LIVELY, 5, 1), shown)


def test_zero_ranges_show_the_original_in_every_epoch() -> None:
    assert np.array_equal(fresh_image(record(1), STILL, 5, 7), decode_image(record(1).jpeg, "original"))


def test_a_damaged_original_is_named() -> None:
    with pytest.raises(FacegenderError, match=r"ü 1\.jpg: "):
        fresh_image(record(1)._replace(jpeg=record(1).jpeg[:-200]), STILL, 5, 1)


def test_turning_off_the_mirroring_leaves_the_other_transformations() -> None:
    mirrored = matrices(LIVELY, 50)[:, :, :2]
    unmirrored = matrices(LIVELY._replace(horizontal_flip=False), 50)[:, :, :2]

    assert np.array_equal(mirrored[:, :, 1], unmirrored[:, :, 1])
    signs = np.where(mirrored[:, 0, 0] == unmirrored[:, 0, 0], 1, -1)
    assert np.array_equal(mirrored[:, :, 0], signs[:, None] * unmirrored[:, :, 0])
    assert set(signs) == {1, -1}


def test_turning_off_the_rotation_leaves_the_zoom() -> None:
    # Without shear, the lengths of the matrix's columns are the zooms.
    lengths = np.linalg.norm(matrices(LIVELY, 50)[:, :, :2], axis=1)

    assert np.linalg.norm(matrices(LIVELY._replace(rotation=0), 50)[:, :, :2], axis=1) == pytest.approx(lengths)


def test_zero_ranges_leave_the_image_as_it_is() -> None:
    assert np.array_equal(matrices(STILL, 20), np.broadcast_to([[1, 0, 0], [0, 1, 0]], (20, 2, 3)))
    assert np.array_equal(transform_image(noise(), STILL, draw_copy(1, "1.jpg", 1)), noise())


@pytest.mark.parametrize(
    ("ranges", "mirrored"),
    [
        (STILL._replace(horizontal_flip=True), noise()[:, ::-1]),
        (STILL._replace(vertical_flip=True), noise()[::-1]),
    ],
)
def test_half_of_the_copies_are_mirrored(ranges: Ranges, mirrored: Pixels) -> None:
    copies = [transform_image(noise(), ranges, draw_copy(1, f"{number}.jpg", 1)) for number in range(400)]

    turned = [np.array_equal(image, mirrored) for image in copies]
    assert all(
        np.array_equal(image, noise()) for image, is_mirrored in zip(copies, turned, strict=True) if not is_mirrored
    )
    # 400 coin tosses: mean 200, standard deviation 10.
    assert 160 <= sum(turned) <= 240


def test_only_a_negative_number_mirrors() -> None:
    ranges = STILL._replace(horizontal_flip=True, vertical_flip=True)

    assert np.array_equal(transform_image(noise(), ranges, MIDDLE), noise())


def test_even_sizes_are_mirrored_exactly_too() -> None:
    image = noise(height=60, width=40)
    ranges = STILL._replace(horizontal_flip=True, vertical_flip=True)

    images = [transform_image(image, ranges, draw_copy(1, f"{number}.jpg", 1)).tobytes() for number in range(50)]

    assert set(images) == {expected.tobytes() for expected in (image, image[:, ::-1], image[::-1], image[::-1, ::-1])}


def test_rotation_follows_trigonometry() -> None:
    # 30 degrees counter-clockwise as seen: (15, 0) goes to (15 cos 30, -15 sin 30).
    ranges = STILL._replace(rotation=30)

    assert moved_mark((15, 0), ranges, MIDDLE._replace(rotation=1)) == pytest.approx((12.99, -7.5), abs=0.1)
    assert moved_mark((15, 0), ranges, MIDDLE._replace(rotation=-1)) == pytest.approx((12.99, 7.5), abs=0.1)
    # Half of it: 15 degrees.
    assert moved_mark((0, -15), ranges, MIDDLE._replace(rotation=0.5)) == pytest.approx((-3.88, -14.49), abs=0.1)
    assert moved_mark((0, 0), ranges, MIDDLE._replace(rotation=1)) == pytest.approx((0, 0), abs=0.1)


def test_zoom_scales_each_axis_about_the_centre() -> None:
    ranges = STILL._replace(zoom=0.5)

    # The view is 1.5 times as wide, so 12 moves to 8, or half as high, so -10 moves to -20.
    assert moved_mark((12, 0), ranges, MIDDLE._replace(zoom_x=1)) == pytest.approx((8, 0), abs=0.1)
    assert moved_mark((0, -10), ranges, MIDDLE._replace(zoom_y=-1)) == pytest.approx((0, -20), abs=0.1)
    assert moved_mark((0, 0), ranges, MIDDLE._replace(zoom_x=1, zoom_y=-1)) == pytest.approx((0, 0), abs=0.1)


def test_shift_moves_by_a_share_of_the_size() -> None:
    # 0.2 * 41 columns = 8.2; 0.1 * 61 rows = 6.1, half of it 3.05.
    ranges = STILL._replace(width_shift=0.2, height_shift=0.1)

    assert moved_mark((0, 0), ranges, MIDDLE._replace(width_shift=1)) == pytest.approx((-8.2, 0), abs=0.1)
    assert moved_mark((0, 0), ranges, MIDDLE._replace(height_shift=-0.5)) == pytest.approx((0, 3.05), abs=0.1)


def test_shear_slants() -> None:
    # Keras's matrix [[1, -sin], [0, cos]] at 30 degrees shows at (10, 20) what was at (10 - 20 / 2, 20 cos 30).
    assert moved_mark((0, 17.32), STILL._replace(shear=30), MIDDLE._replace(shear=1)) == pytest.approx(
        (10, 20), abs=0.2
    )


def test_edges_are_repeated() -> None:
    wild = LIVELY._replace(rotation=180, zoom=0.9, width_shift=1, height_shift=1, shear=80)
    plain = np.full((HEIGHT, WIDTH, 3), (200, 100, 50), np.uint8)

    for number in range(50):
        assert np.array_equal(transform_image(plain, wild, draw_copy(1, f"{number}.jpg", 1)), plain)


def test_shifted_in_columns_repeat_the_first() -> None:
    # A shift by 10 columns to the right.
    moved = transform_image(noise(width=40), STILL._replace(width_shift=0.25), MIDDLE._replace(width_shift=-1))

    assert np.array_equal(moved[:, 10:], noise(width=40)[:, :30])
    assert np.array_equal(moved[:, :10], np.repeat(noise(width=40)[:, :1], 10, axis=1))


def test_the_image_itself_is_not_changed() -> None:
    image = noise()

    transform_image(image, LIVELY, draw_copy(1, "1.jpg", 1))

    assert np.array_equal(image, noise())


def test_transformations_fill_their_ranges_evenly() -> None:
    count = 2000
    affine = matrices(LIVELY, count)
    linear = affine[:, :, :2]
    # With a rotation of at most 10 degrees, only mirroring changes the signs of the diagonal.
    mirror_x, mirror_y = np.sign(linear[:, 0, 0]), np.sign(linear[:, 1, 1])
    angle = np.rad2deg(np.arctan2(linear[:, 1, 0] * mirror_x, linear[:, 0, 0] * mirror_x))
    zoom = np.linalg.norm(linear, axis=1) - 1
    centre = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    shift = affine[:, :, 2] + linear @ centre - centre
    shares = np.column_stack([angle / 10, zoom / 0.2, shift / [0.1 * WIDTH, 0.3 * HEIGHT]])

    assert shares.shape == (count, 5)
    assert np.abs(shares).max() <= 1 + 1e-9
    # The probability that the largest of 2,000 is below 0.99 is 0.995^2000 = 4e-5.
    assert (shares.max(axis=0) > 0.99).all()
    assert (shares.min(axis=0) < -0.99).all()
    # Kolmogorov-Smirnov: by chance, 2.2 / sqrt(2000) = 0.049 is exceeded once in 8,000 times.
    steps = np.abs(np.sort((shares + 1) / 2, axis=0) - ((np.arange(count) + 0.5) / count)[:, None])
    assert steps.max() < 0.049
    # The share of heads has the standard deviation 0.5 / sqrt(2000) = 0.0112; the limit is four of them.
    for mirror in (mirror_x, mirror_y):
        assert (mirror < 0).mean() == pytest.approx(0.5, abs=0.045)
    # Without dependence, correlations have the standard deviation 1 / sqrt(2000) = 0.0224; the limit is four of them.
    correlations = np.corrcoef(np.column_stack([shares, mirror_x, mirror_y]).T)
    assert np.abs(correlations - np.eye(7)).max() < 0.09


def painted(*rows: tuple[int, int, int]) -> Pixels:
    """Return an image with a row of each colour."""
    return np.repeat(np.array(rows, np.uint8)[:, None], 4, axis=1)


@pytest.mark.parametrize(("draw", "expected"), [(1, (150, 75, 255)), (-1, (50, 25, 90)), (0.4, (120, 60, 216))])
def test_brightness_multiplies(draw: float, expected: tuple[int, int, int]) -> None:
    # The factors are 1.5, 0.5 and 1.2; 1.5 * 180 = 270 is clipped.
    image = transform_image(painted((100, 50, 180)), STILL._replace(brightness=0.5), MIDDLE._replace(brightness=draw))

    assert np.array_equal(image, painted(expected))


@pytest.mark.parametrize(
    ("greys", "draw", "expected"),
    [
        # The mean is 125, and 25 on either side become 1.8, 0.2 and 1.4 times as much.
        ((100, 150), 1, (80, 170)),
        ((100, 150), -1, (120, 130)),
        ((100, 150), 0.5, (90, 160)),
        # 120 - 1.8 * 100 = -60 and 120 + 1.8 * 100 = 300 are clipped.
        ((20, 220), 1, (0, 255)),
        ((77, 77), 1, (77, 77)),
    ],
)
def test_contrast_scales_differences_from_the_mean_grey(
    greys: tuple[int, int], draw: float, expected: tuple[int, int]
) -> None:
    image = painted(*((grey, grey, grey) for grey in greys))

    changed = transform_image(image, STILL._replace(contrast=0.8), MIDDLE._replace(contrast=draw))

    assert np.array_equal(changed, painted(*((grey, grey, grey) for grey in expected)))


def test_contrast_moves_colours_towards_grey() -> None:
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2, and half of the differences 75.8, -24.2 and -74.2.
    changed = transform_image(painted((200, 100, 50)), STILL._replace(contrast=0.5), MIDDLE._replace(contrast=-1))

    assert np.array_equal(changed, painted((162, 112, 87)))


@pytest.mark.parametrize(
    ("pixel", "draw", "expected"),
    [
        # Greys 76.245, 149.685 and 29.07: half of the difference from 255 and from 0.
        ((255, 0, 0), -1, (166, 38, 38)),
        ((0, 255, 0), -1, (75, 202, 75)),
        ((0, 0, 255), -1, (15, 15, 142)),
        # Twice the saturation would need negative values.
        ((255, 0, 0), 1, (255, 0, 0)),
        # Grey 103.7, and 1.5 times the differences 16.3, -3.7 and -23.7.
        ((120, 100, 80), 1, (128, 98, 68)),
        ((90, 90, 90), 1, (90, 90, 90)),
        ((90, 90, 90), -1, (90, 90, 90)),
    ],
)
def test_colour_scales_differences_from_each_pixels_grey(
    pixel: tuple[int, int, int], draw: float, expected: tuple[int, int, int]
) -> None:
    # Black beside it, as another pixel's colour has no effect.
    image = transform_image(painted(pixel, (0, 0, 0)), STILL._replace(colour=0.5), MIDDLE._replace(colour=draw))

    assert np.array_equal(image, painted(expected, (0, 0, 0)))


factors = st.floats(0.75, 1.25)


@given(seed=st.integers(0, 2**32 - 1), brightness=factors, contrast=factors, colour=factors)
def test_colours_change_as_in_pillow(seed: int, brightness: float, contrast: float, colour: float) -> None:
    # Values that no step clips. Pillow drops fractions after each of its three steps, and rounds greys and their mean.
    image = np.random.default_rng(seed).integers(80, 151, (9, 7, 3)).astype(np.uint8)
    expected = Image.fromarray(image)
    expected = ImageEnhance.Brightness(expected).enhance(brightness)
    expected = ImageEnhance.Contrast(expected).enhance(contrast)
    expected = ImageEnhance.Color(expected).enhance(colour)

    ranges = STILL._replace(brightness=0.25, contrast=0.25, colour=0.25)
    draws = MIDDLE._replace(brightness=4 * (brightness - 1), contrast=4 * (contrast - 1), colour=4 * (colour - 1))

    changed = transform_image(image, ranges, draws)

    assert np.abs(changed.astype(int) - np.asarray(expected)).max() <= 4


def test_one_colour_range_leaves_the_other_transformations() -> None:
    colourful = LIVELY._replace(brightness=0.2, contrast=0.3, colour=0.4)
    draws = draw_copy(1, "1.jpg", 1)

    moved = transform_image(noise(), LIVELY, draws)
    assert np.array_equal(
        transform_image(noise(), colourful, draws),
        transform_image(moved, STILL._replace(brightness=0.2, contrast=0.3, colour=0.4), draws),
    )
    assert not np.array_equal(transform_image(noise(), colourful, draws), moved)


shares = st.floats(0, 1, exclude_max=True)


@given(
    ranges=st.builds(
        Ranges,
        rotation=st.floats(0, 180),
        zoom=shares,
        horizontal_flip=st.booleans(),
        vertical_flip=st.booleans(),
        width_shift=st.floats(0, 1),
        height_shift=st.floats(0, 1),
        shear=st.floats(0, 90, exclude_max=True),
        brightness=shares,
        contrast=shares,
        colour=shares,
    ),
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_ranges_give_an_image_of_the_same_kind(ranges: Ranges, height: int, width: int, seed: int) -> None:
    image = noise(seed, height, width)
    draws = draw_copy(seed, "1.jpg", 1)

    changed = transform_image(image, ranges, draws)

    assert (changed.shape, changed.dtype) == ((height, width, 3), np.uint8)
    assert np.array_equal(image, noise(seed, height, width))
    # Only brightness changes an image that is the same grey everywhere.
    plain = np.full((height, width, 3), 77, np.uint8)
    assert np.array_equal(transform_image(plain, ranges._replace(brightness=0), draws), plain)


def test_transformations_are_read_as_they_were_written(tmp_path: Path) -> None:
    ranges = LIVELY._replace(shear=3, brightness=0.1, contrast=0.25, colour=0.5)
    write_transformations(tmp_path, ranges, 121)

    assert read_transformations(tmp_path) == (ranges, 121)
    assert [path.name for path in tmp_path.iterdir()] == [TRANSFORMATIONS_FILE]


def test_a_folder_of_copies_has_no_transformations(tmp_path: Path) -> None:
    write_shards(tmp_path, map(record, range(2)))

    assert read_transformations(tmp_path) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": "120"},
        {"seed": None},
        {"ranges": {}},
        {"ranges": STILL._asdict() | {"rotation": "10"}},
        {"ranges": STILL._asdict() | {"rotation": True}},
        {"ranges": STILL._asdict() | {"horizontal_flip": 1}},
        {"ranges": STILL._asdict() | {"hue": 0.5}},
        {"ranges": [0, 0, False, False, 0, 0, 0, 0, 0, 0]},
        {"more": 1},
    ],
)
def test_damaged_transformations_are_one_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / TRANSFORMATIONS_FILE
    path.write_text(json.dumps({"ranges": STILL._asdict(), "seed": 120} | changes), encoding="utf-8")

    with pytest.raises(FacegenderError) as caught:
        read_transformations(tmp_path)

    assert str(caught.value).startswith(f"{path}: was not written by the stage augment; run: dvc checkout")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"3"])
def test_transformations_that_are_no_mapping_are_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TRANSFORMATIONS_FILE).write_bytes(content)

    with pytest.raises(FacegenderError, match=r"transformations\.json: was not written by the stage augment; run: dvc"):
        read_transformations(tmp_path)


def run_stage(folder: Path, monkeypatch: pytest.MonkeyPatch, shard_size: int = 3, **changes: Any) -> dict[str, bytes]:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["augment"] |= changes
    if params["augment"]["mode"] == "fresh":
        params["augment"]["copies"] = 0
        params["backbone"]["trainable_from"] = "image"
    monkeypatch.setattr("facegender.data.shards.SHARD_SIZE", shard_size)
    source = folder / "data" / "preprocessed" / "train"
    source.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    write_shards(source, map(record, range(7)))
    monkeypatch.chdir(folder)
    stage.main()
    return {path.name: path.read_bytes() for path in (folder / "data" / "preprocessed" / "train_copies").iterdir()}


def test_the_stage_makes_copies_of_every_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = run_stage(tmp_path, monkeypatch, copies=2)

    assert set(shards) == {f"0000{number}-copy-{copy}.zip" for number in range(3) for copy in (1, 2)}
    folder = tmp_path / "data" / "preprocessed"
    for number in range(3):
        source = read_shard(folder / "train" / f"0000{number}.zip")
        stored = {copy: read_shard(folder / "train_copies" / f"0000{number}-copy-{copy}.zip") for copy in (1, 2)}
        for records in stored.values():
            assert [copied[:2] for copied in records] == [original[:2] for original in source]
        for original, one, other in zip(source, stored[1], stored[2], strict=True):
            assert len({original.jpeg, one.jpeg, other.jpeg}) == 3
            assert decode_image(one.jpeg, "copy").shape == (HEIGHT, WIDTH, 3)
    picture = decode_image((tmp_path / "metrics" / "plots" / "augment.png").read_bytes(), "picture")
    # Seven columns of three images, each shown at 178 by 218 or larger.
    assert picture.shape[0] > 3 * 218
    assert picture.shape[1] > 7 * 178
    assert sorted(path.name for path in folder.iterdir()) == ["train", "train_copies"]
    # For the report: each image with its copies.
    shown = read_gallery(tmp_path / "data" / "augment")
    assert [(exhibit.caption, len(exhibit.jpegs)) for exhibit in shown] == [(record(n).image_id, 3) for n in range(7)]


def test_copies_do_not_depend_on_shards_or_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = []
    for shard_size in (3, 100):
        run_stage(tmp_path / str(shard_size), monkeypatch, shard_size)
        paths = sorted((tmp_path / str(shard_size) / "data" / "preprocessed" / "train_copies").glob("*-copy-1.zip"))
        stored.append([copy for path in paths for copy in read_shard(path)])

    assert len(stored[0]) == 7
    assert stored[0] == stored[1]


def test_copies_are_made_on_as_many_threads_as_the_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()

    def encode(image: Pixels) -> bytes:
        threads.add(threading.get_ident())
        return encode_jpeg(image)

    monkeypatch.setattr("facegender.preparation.augment.encode_jpeg", encode)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    run_stage(tmp_path, monkeypatch, shard_size=100)

    # The stage draws its picture on the main thread.
    assert len(threads - {threading.get_ident()}) == 1


def test_the_stage_writes_the_same_bytes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_stage(tmp_path / "a", monkeypatch) == run_stage(tmp_path / "b", monkeypatch)
    pictures = [(tmp_path / run / "metrics" / "plots" / "augment.png").read_bytes() for run in ("a", "b")]
    assert pictures[0] == pictures[1]


def test_without_copies_the_folder_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = run_stage(tmp_path, monkeypatch, copies=0)

    assert shards == {}
    assert (tmp_path / "metrics" / "plots" / "augment.png").stat().st_size > 0


def test_another_seed_changes_the_copies_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = run_stage(tmp_path / "a", monkeypatch, seed=1)
    other = run_stage(tmp_path / "b", monkeypatch, seed=2)

    assert {name for name in one if one[name] != other[name]} == {f"0000{number}-copy-1.zip" for number in range(3)}


def test_in_mode_fresh_the_stage_writes_the_transformations_and_no_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = run_stage(tmp_path, monkeypatch, mode="fresh", contrast=0.25, shear=2, seed=7)

    assert set(files) == {TRANSFORMATIONS_FILE}
    assert read_transformations(tmp_path / "data" / "preprocessed" / "train_copies") == (
        STILL._replace(rotation=10, zoom=0.2, horizontal_flip=True, shear=2, contrast=0.25),
        7,
    )


def pictured(monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: Any) -> tuple[list[Pixels], list[str]]:
    """Run the stage, and return the images and captions of its picture."""
    shown: dict[str, Any] = {}

    def image_grid(path: str, images: list[Pixels], captions: list[str], title: str, columns: int) -> None:
        shown.update(images=images, captions=captions, columns=columns)

    monkeypatch.setattr(stage, "image_grid", image_grid)
    run_stage(folder, monkeypatch, **changes)
    assert shown["columns"] == 7
    return shown["images"], shown["captions"]


def test_in_mode_fresh_the_picture_shows_three_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, captions = pictured(monkeypatch, tmp_path, mode="fresh", brightness=0.5, seed=7)

    ranges = STILL._replace(rotation=10, zoom=0.2, horizontal_flip=True, brightness=0.5)
    assert captions[::7] == [f"ü 0.jpg\n{row}" for row in ("original", "epoch 1", "epoch 2", "epoch 3")]
    assert len(captions) == len(images) == 28
    for row in range(4):
        for column in range(7):
            expected = (
                fresh_image(record(column), ranges, 7, row) if row else decode_image(record(column).jpeg, "original")
            )
            assert np.array_equal(images[7 * row + column], expected)


@pytest.mark.parametrize("copies", [0, 2, 4])
def test_in_mode_copies_the_picture_shows_stored_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    images, captions = pictured(monkeypatch, tmp_path, copies=copies)

    numbers = range(1, min(copies, 3) + 1)
    assert captions[::7] == ["ü 0.jpg\noriginal", *(f"ü 0.jpg\ncopy {number}" for number in numbers)]
    for number in numbers:
        paths = sorted((tmp_path / "data" / "preprocessed" / "train_copies").glob(f"*-copy-{number}.zip"))
        stored = [decode_image(copy.jpeg, "copy") for path in paths for copy in read_shard(path)]
        assert np.array_equal(images[7 * number : 7 * number + 7], stored)
