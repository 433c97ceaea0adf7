"""Random transformations, and the stage that stores them."""

from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import yaml

from facegender.data.images import Pixels, decode_image, encode_jpeg
from facegender.data.shards import Record, read_shard, write_shards
from facegender.preparation.augment import Ranges, augment_image, augment_record, copy_generator, random_matrix
from stages import augment as stage
from tests.paths import ROOT

HEIGHT, WIDTH = 61, 41
STILL = Ranges(rotation=0, zoom=0, horizontal_flip=False, vertical_flip=False, width_shift=0, height_shift=0, shear=0)
LIVELY = Ranges(
    rotation=10, zoom=0.2, horizontal_flip=True, vertical_flip=True, width_shift=0.1, height_shift=0.3, shear=0
)


class Draws:
    """Replaces a random generator: rotation, shear, shifts and zooms as given, and no mirroring."""

    def __init__(self, rotation: float = 0, shear: float = 0, shift: Any = (0, 0), zoom: Any = (0, 0)) -> None:
        """Keep the numbers, each from -1 to 1."""
        self._uniform = iter([[rotation, shear, *shift], zoom])

    def uniform(self, low: float, high: float, size: int) -> npt.NDArray[np.float64]:
        """Return the next numbers."""
        numbers = np.array(next(self._uniform), float)
        assert (low, high, size) == (-1, 1, len(numbers))
        return numbers

    def random(self, size: int) -> npt.NDArray[np.float64]:
        """Return numbers for which nothing is mirrored."""
        return np.full(size, 0.9)


def moved_mark(offset: tuple[float, float], ranges: Ranges, draws: Draws) -> tuple[float, float]:
    """Put a mark at this offset (x to the right, y down) from the centre, and return where it is afterwards."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    right, down = columns - (WIDTH - 1) / 2, rows - (HEIGHT - 1) / 2
    mark = 255 * np.exp(-((right - offset[0]) ** 2 + (down - offset[1]) ** 2) / (2 * 1.5**2))
    image = np.repeat(np.rint(mark).astype(np.uint8)[..., None], 3, axis=2)
    moved = augment_image(image, ranges, cast(np.random.Generator, draws))[..., 0].astype(float)
    return (right * moved).sum() / moved.sum(), (down * moved).sum() / moved.sum()


def noise(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def record(number: int) -> Record:
    return Record(f"ü {number}.jpg", number % 2, encode_jpeg(cv2.blur(noise(number), (9, 9)).astype(np.uint8)))


def matrices(ranges: Ranges, count: int, seed: int = 1) -> npt.NDArray[np.float64]:
    return np.stack(
        [random_matrix(ranges, HEIGHT, WIDTH, copy_generator(seed, f"{number}.jpg", 1)) for number in range(count)]
    )


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


def test_generators_of_other_seeds_ids_and_copies_differ() -> None:
    keys = [(1, "1.jpg", 1), (11, "1.jpg", 1), (1, "1.jpg", 11), (1, "11.jpg", 1), (2, "1.jpg", 1), (1, "1.jpg", 2)]

    assert len({copy_generator(*key).integers(2**63) for key in keys}) == len(keys)
    assert copy_generator(*keys[0]).integers(2**63) == copy_generator(*keys[0]).integers(2**63)


def test_a_known_generator_gives_the_same_numbers_on_every_machine() -> None:
    # BLAKE2b of "120/1/000001.jpg", 16 bytes, is the key of Philox. Fixed here, as every stored copy depends on it.
    assert copy_generator(120, "000001.jpg", 1).integers(0, 1000, 4).tolist() == [465, 804, 916, 181]


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
    assert np.array_equal(augment_image(noise(), STILL, copy_generator(1, "1.jpg", 1)), noise())


@pytest.mark.parametrize(
    ("ranges", "mirrored"),
    [
        (STILL._replace(horizontal_flip=True), noise()[:, ::-1]),
        (STILL._replace(vertical_flip=True), noise()[::-1]),
    ],
)
def test_half_of_the_copies_are_mirrored(ranges: Ranges, mirrored: Pixels) -> None:
    copies = [augment_image(noise(), ranges, copy_generator(1, f"{number}.jpg", 1)) for number in range(400)]

    turned = [np.array_equal(image, mirrored) for image in copies]
    assert all(
        np.array_equal(image, noise()) for image, is_mirrored in zip(copies, turned, strict=True) if not is_mirrored
    )
    # 400 coin tosses: mean 200, standard deviation 10.
    assert 160 <= sum(turned) <= 240


def test_even_sizes_are_mirrored_exactly_too() -> None:
    image = noise(height=60, width=40)
    ranges = STILL._replace(horizontal_flip=True, vertical_flip=True)

    images = [augment_image(image, ranges, copy_generator(1, f"{number}.jpg", 1)).tobytes() for number in range(50)]

    assert set(images) == {expected.tobytes() for expected in (image, image[:, ::-1], image[::-1], image[::-1, ::-1])}


def test_rotation_follows_trigonometry() -> None:
    # 30 degrees counter-clockwise as seen: (15, 0) goes to (15 cos 30, -15 sin 30).
    ranges = STILL._replace(rotation=30)

    assert moved_mark((15, 0), ranges, Draws(rotation=1)) == pytest.approx((12.99, -7.5), abs=0.1)
    assert moved_mark((15, 0), ranges, Draws(rotation=-1)) == pytest.approx((12.99, 7.5), abs=0.1)
    # Half of it: 15 degrees.
    assert moved_mark((0, -15), ranges, Draws(rotation=0.5)) == pytest.approx((-3.88, -14.49), abs=0.1)
    assert moved_mark((0, 0), ranges, Draws(rotation=1)) == pytest.approx((0, 0), abs=0.1)


def test_zoom_scales_each_axis_about_the_centre() -> None:
    ranges = STILL._replace(zoom=0.5)

    # The view is 1.5 times as wide, so 12 moves to 8, or half as high, so -10 moves to -20.
    assert moved_mark((12, 0), ranges, Draws(zoom=(1, 0))) == pytest.approx((8, 0), abs=0.1)
    assert moved_mark((0, -10), ranges, Draws(zoom=(0, -1))) == pytest.approx((0, -20), abs=0.1)
    assert moved_mark((0, 0), ranges, Draws(zoom=(1, -1))) == pytest.approx((0, 0), abs=0.1)


def test_shift_moves_by_a_share_of_the_size() -> None:
    # 0.2 * 41 columns = 8.2; 0.1 * 61 rows = 6.1, half of it 3.05.
    ranges = STILL._replace(width_shift=0.2, height_shift=0.1)

    assert moved_mark((0, 0), ranges, Draws(shift=(1, 0))) == pytest.approx((-8.2, 0), abs=0.1)
    assert moved_mark((0, 0), ranges, Draws(shift=(0, -0.5))) == pytest.approx((0, 3.05), abs=0.1)


def test_shear_slants() -> None:
    # Keras's matrix [[1, -sin], [0, cos]] at 30 degrees shows at (10, 20) what was at (10 - 20 / 2, 20 cos 30).
    assert moved_mark((0, 17.32), STILL._replace(shear=30), Draws(shear=1)) == pytest.approx((10, 20), abs=0.2)


def test_edges_are_repeated() -> None:
    wild = Ranges(
        rotation=180, zoom=0.9, horizontal_flip=True, vertical_flip=True, width_shift=1, height_shift=1, shear=80
    )
    plain = np.full((HEIGHT, WIDTH, 3), (200, 100, 50), np.uint8)

    for number in range(50):
        assert np.array_equal(augment_image(plain, wild, copy_generator(1, f"{number}.jpg", 1)), plain)


def test_shifted_in_columns_repeat_the_first() -> None:
    # A shift by 10 columns to the right.
    moved = augment_image(
        noise(width=40), STILL._replace(width_shift=0.25), cast(np.random.Generator, Draws(shift=(-1, 0)))
    )

    assert np.array_equal(moved[:, 10:], noise(width=40)[:, :30])
    assert np.array_equal(moved[:, :10], np.repeat(noise(width=40)[:, :1], 10, axis=1))


def test_the_image_itself_is_not_changed() -> None:
    image = noise()

    augment_image(image, LIVELY, copy_generator(1, "1.jpg", 1))

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


def run_stage(folder: Path, monkeypatch: pytest.MonkeyPatch, shard_size: int = 3, **changes: Any) -> dict[str, bytes]:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["augment"] |= changes
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


def test_copies_do_not_depend_on_shards_or_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = []
    for shard_size in (3, 100):
        run_stage(tmp_path / str(shard_size), monkeypatch, shard_size)
        paths = sorted((tmp_path / str(shard_size) / "data" / "preprocessed" / "train_copies").glob("*-copy-1.zip"))
        stored.append([copy for path in paths for copy in read_shard(path)])

    assert len(stored[0]) == 7
    assert stored[0] == stored[1]


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
