"""Alignment: where points go, and which faces are found, in synthetic faces and in portraits where these exist."""

from typing import Any

import cv2
import numpy as np
import pytest

from facegender.data.celeba import ATTRIBUTES
from facegender.data.images import Pixels, decode_image, fit_image
from facegender.serving.alignment import Face, align_face, aligned_faces, detect_faces
from facegender.synthetic.faces import draw_face
from tests.paths import ROOT

PORTRAITS = ROOT.parent / "shared" / "data" / "faker_portraits_aligned" / "img_align_celeba"


@pytest.mark.parametrize("turn", [0, 20])
def test_synthetic_faces_are_found_anywhere_and_aligned_as_celeba_is(turn: int) -> None:
    # Four faces on one picture, with their eyes where CelebA has them.
    image: Pixels = np.full((700, 800, 3), 90, np.uint8)
    for number in range(4):
        face = np.asarray(draw_face(dict.fromkeys(ATTRIBUTES, 0) | {"Young": 1}, np.random.default_rng(number)))
        top, left = 60 + 320 * (number // 2), 120 + 320 * (number % 2)
        image[top : top + 218, left : left + 178] = face
    image = np.asarray(cv2.warpAffine(image, cv2.getRotationMatrix2D((400, 350), turn, 0.9), (800, 700)), np.uint8)

    found = aligned_faces(image, "auto", 218, 178)

    assert len(found) == 4
    for _, aligned in found:
        [again] = detect_faces(aligned)
        assert again.left_eye == pytest.approx((69, 112), abs=6)
        assert again.right_eye == pytest.approx((108, 112), abs=6)


needs_portraits = pytest.mark.skipif(not PORTRAITS.is_dir(), reason="needs the folder shared/ with portraits")


def face_with_eyes(left: tuple[float, float], right: tuple[float, float]) -> Face:
    return Face((0, 0, 1, 1), 1.0, left, right)


def picture_of_two_dots(
    height: int, width: int, left: tuple[int, int], right: tuple[int, int], radius: int
) -> tuple[Pixels, Face]:
    """Make a grey picture with a red dot as left eye and a blue one as right eye."""
    image = np.full((height, width, 3), 128, np.uint8)
    cv2.circle(image, left, radius, (255, 0, 0), cv2.FILLED)
    cv2.circle(image, right, radius, (0, 0, 255), cv2.FILLED)
    return image, face_with_eyes(left, right)


def centre_of(image: Pixels, channel: int) -> tuple[float, float]:
    """Compute x and y of the centre of the area that is brighter in one channel, red or blue, than in the other."""
    weights = np.clip(image[..., channel].astype(float) - image[..., 2 - channel], 0, None)
    rows, columns = np.indices(weights.shape)
    return float((columns * weights).sum() / weights.sum()), float((rows * weights).sum() / weights.sum())


@pytest.mark.parametrize(
    ("left", "right", "radius"),
    [
        ((300, 200), (339, 200), 5),  # As large as in CelebA.
        ((300, 300), (417, 300), 15),  # Three times as large.
        ((300, 200), (313, 200), 3),  # A third.
        ((300, 200), (300, 278), 8),  # Turned by 90 degrees.
        ((400, 300), (330, 230), 9),  # Turned by 225.
        ((5, 5), (44, 5), 4),  # Most of the head is outside the picture.
    ],
)
def test_eyes_are_moved_to_where_celeba_has_them(left: tuple[int, int], right: tuple[int, int], radius: int) -> None:
    image, face = picture_of_two_dots(480, 640, left, right, radius)

    aligned = align_face(image, face)

    assert aligned.shape == (218, 178, 3)
    assert aligned.dtype == np.uint8
    assert centre_of(aligned, 0) == pytest.approx((69, 112), abs=0.6)
    assert centre_of(aligned, 2) == pytest.approx((108, 112), abs=0.6)


@pytest.mark.parametrize(("height", "width"), [(436, 356), (109, 89), (178, 178), (128, 100)])
def test_another_size_is_cut_and_scaled_as_fit_image_does(height: int, width: int) -> None:
    image, face = picture_of_two_dots(218, 178, (69, 112), (108, 112), 6)

    aligned, fitted = align_face(image, face, height, width), fit_image(image, height, width)

    assert aligned.shape == fitted.shape
    for channel in (0, 2):
        assert centre_of(aligned, channel) == pytest.approx(centre_of(fitted, channel), abs=0.8)


def test_a_huge_face_is_shrunk_without_aliasing() -> None:
    checks = np.tile(np.array([[0, 255], [255, 0]], np.uint8), (2180, 1780))
    image = np.repeat(checks[..., None], 3, axis=2)

    aligned = align_face(image, face_with_eyes((1380, 2240), (2160, 2240)))

    # Each pixel of the result covers 20 black and white ones: averaged they are grey; sampled they would be either.
    assert np.abs(aligned.astype(float) - 127.5).max() < 10


def test_areas_outside_the_picture_repeat_its_border() -> None:
    image = np.full((60, 60, 3), 40, np.uint8)
    image[:, 30:] = 200

    aligned = align_face(image, face_with_eyes((10, 30), (49, 30)))

    assert (aligned[:, :80] == 40).all()
    assert (aligned[:, 100:] == 200).all()


@pytest.mark.parametrize("size", [(1, 1), (20, 20), (1, 3000), (3000, 2), (31, 33), (700, 900)])
@pytest.mark.parametrize("kind", ["even", "noise"])
def test_a_picture_without_faces_gives_none_and_no_error(size: tuple[int, int], kind: str) -> None:
    random = np.random.default_rng(3)
    image = np.full((*size, 3), 90, np.uint8) if kind == "even" else random.integers(0, 256, (*size, 3), np.uint8)

    assert detect_faces(image) == []
    assert aligned_faces(image, "always", 218, 178) == []
    assert aligned_faces(image, "auto", 218, 178) == []
    (whole,) = aligned_faces(image, "never", 109, 89)
    assert whole[0] is None
    np.testing.assert_array_equal(whole[1], fit_image(image, 109, 89))


def test_auto_takes_a_picture_of_celebas_size_as_it_is() -> None:
    image = np.random.default_rng(3).integers(0, 256, (218, 178, 3), np.uint8)

    ((face, pixels),) = aligned_faces(image, "auto", 218, 178)

    assert face is None
    np.testing.assert_array_equal(pixels, image)


@pytest.fixture(scope="module")
def portraits() -> list[Pixels]:
    return [decode_image((PORTRAITS / name).read_bytes(), name) for name in ("000001.jpg", "000150.jpg")]


def on_grey(height: int, width: int, *laid: tuple[Pixels, Any]) -> Pixels:
    """Put pictures, each transformed by a matrix (2, 3), on grey."""
    canvas = np.full((height, width, 3), 120, np.uint8)
    for image, matrix in laid:
        cv2.warpAffine(image, matrix, (width, height), canvas, borderMode=cv2.BORDER_TRANSPARENT)
    return canvas


def turned(degrees: float, scale: float, x: float, y: float) -> Any:
    """Compute the matrix that moves the centre of 178 x 218 pixels to x, y."""
    matrix = np.asarray(cv2.getRotationMatrix2D((89, 109), degrees, scale), np.float64)
    matrix[:, 2] += (x - 89, y - 109)
    return matrix


@needs_portraits
def test_faces_of_a_photograph_come_from_left_to_right_upright_and_in_their_size(portraits: list[Pixels]) -> None:
    first, second = portraits
    matrices = turned(25, 1.2, 560, 200), turned(-25, 0.6, 150, 300)
    photograph = on_grey(450, 760, (first, matrices[0]), (second, matrices[1]))

    found = aligned_faces(photograph, "auto", 218, 178)

    assert len(found) == 2
    for (face, _), image, matrix in zip(found, (second, first), matrices[::-1], strict=True):
        assert face is not None
        (alone,) = detect_faces(image)
        eyes = np.array([alone.left_eye, alone.right_eye]) @ matrix[:, :2].T + matrix[:, 2]
        distance = np.linalg.norm(eyes[1] - eyes[0])
        assert np.abs(np.array([face.left_eye, face.right_eye]) - eyes).max() < 0.15 * distance
        left, top, right, bottom = face.box
        assert left < eyes[:, 0].min() < eyes[:, 0].max() < right
        assert top < eyes[:, 1].min() < eyes[:, 1].max() < bottom
        ((again, _),) = aligned_faces(align_face(photograph, face), "always", 218, 178)
        assert again is not None
        assert np.abs(np.array([again.left_eye, again.right_eye]) - [(69, 112), (108, 112)]).max() < 6


@needs_portraits
@pytest.mark.parametrize(("height", "width"), [(60, 49), (109, 89), (1090, 890), (7000, 5716)])
def test_a_face_is_found_at_every_size(portraits: list[Pixels], height: int, width: int) -> None:
    image = cv2.resize(
        portraits[0], (width, height), interpolation=cv2.INTER_AREA if height < 218 else cv2.INTER_LINEAR
    )

    ((face, pixels),) = aligned_faces(np.asarray(image, np.uint8), "always", 218, 178)

    assert face is not None
    assert face.left_eye[0] / width == pytest.approx(69 / 178, abs=0.05)
    assert face.right_eye[1] / height == pytest.approx(112 / 218, abs=0.05)
    assert pixels.shape == (218, 178, 3)


@needs_portraits
def test_faces_are_found_in_unusual_files(
    portraits: list[Pixels],
) -> None:
    photograph = on_grey(400, 500, (portraits[0], turned(0, 1.2, 250, 200)))
    (plain,) = detect_faces(photograph)
    bgr = cv2.cvtColor(photograph, cv2.COLOR_RGB2BGR)
    files = {
        "grey.png": cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY),
        "deep.png": bgr.astype(np.uint16) * 257,
        "alpha.png": np.dstack([bgr, np.full(bgr.shape[:2], 255, np.uint8)]),
    }
    for name, content in files.items():
        (face,) = detect_faces(decode_image(cv2.imencode(".png", content)[1].tobytes(), name))
        assert np.abs(np.subtract(face.left_eye, plain.left_eye)).max() < 5, name
