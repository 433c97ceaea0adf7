import numpy as np
import pytest

from facegender.data.celeba import ATTRIBUTES
from facegender.synthetic import traits
from facegender.synthetic.faces import draw_face

SEEDS = range(4)
PLAIN = dict.fromkeys(ATTRIBUTES, 0) | {"Young": 1, "No_Beard": 1, "Black_Hair": 1}

# Rows and columns of the 218x178 image; the eyes are at row 111, columns 69 and 108.
REGIONS = {
    "Eyeglasses": (slice(90, 132), slice(30, 148)),
    "Wearing_Hat": (slice(0, 110), slice(0, 178)),
    "Bangs": (slice(30, 112), slice(35, 143)),
    "Bushy_Eyebrows": (slice(82, 115), slice(44, 134)),
    "Bags_Under_Eyes": (slice(106, 136), slice(44, 134)),
    "Narrow_Eyes": (slice(96, 126), slice(48, 130)),
    "Rosy_Cheeks": (slice(104, 165), slice(30, 148)),
    "Big_Nose": (slice(93, 155), slice(65, 113)),
    "Wearing_Lipstick": (slice(136, 175), slice(58, 120)),
    "Mouth_Slightly_Open": (slice(136, 178), slice(58, 120)),
    "Mustache": (slice(132, 172), slice(56, 122)),
    "Goatee": (slice(132, 200), slice(56, 122)),
    "Wearing_Earrings": (slice(120, 165), slice(25, 155)),
    "Wearing_Necklace": (slice(175, 218), slice(40, 138)),
    "Wearing_Necktie": (slice(175, 218), slice(30, 148)),
}


POSE = ("yaw", "roll", "size", "move_right", "move_down")


@pytest.fixture
def frontal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw all faces in the same pose, so that their parts are where REGIONS says."""
    still = {name: (mean, shift, 0.0) for name, (mean, shift, _) in traits.MEASURES.items() if name in POSE}
    monkeypatch.setattr(traits, "MEASURES", traits.MEASURES | still)


def face(seed: int, **changes: int) -> np.ndarray:
    return draw_face(PLAIN | changes, np.random.default_rng(seed)).astype(int)


def test_a_face_has_the_size_of_celebas_images() -> None:
    image = draw_face(PLAIN, np.random.default_rng(0))
    assert image.shape == (218, 178, 3)
    assert image.dtype == np.uint8


def test_the_same_random_state_gives_the_same_face() -> None:
    np.testing.assert_array_equal(face(3), face(3))
    assert (face(3) != face(4)).mean() > 0.5


@pytest.mark.usefixtures("frontal")
@pytest.mark.parametrize("attribute", REGIONS)
@pytest.mark.parametrize("seed", SEEDS)
def test_an_attribute_changes_only_its_region_of_the_face(attribute: str, seed: int) -> None:
    change = np.abs(face(seed, **{attribute: 1}) - face(seed))
    assert change[REGIONS[attribute]].max() > 15
    change[REGIONS[attribute]] = 0
    assert change.max() == 0


@pytest.mark.parametrize("attribute", sorted(set(ATTRIBUTES) - {"Attractive"}))
def test_every_attribute_is_visible(attribute: str) -> None:
    toggled = {attribute: 1 - PLAIN[attribute]}
    assert all(np.abs(face(seed, **toggled) - face(seed)).max() > 15 for seed in SEEDS)


@pytest.mark.usefixtures("frontal")
@pytest.mark.parametrize("seed", SEEDS)
def test_colours_are_in_rgb_order(seed: int) -> None:
    mouth = slice(150, 156), slice(80, 97)
    red, green, blue = (face(seed, Wearing_Lipstick=1) - face(seed))[mouth].mean(axis=(0, 1))
    assert red > green
    crown = slice(50, 58), slice(80, 97)
    red, _, blue = face(seed, Black_Hair=0, Blond_Hair=1)[crown].mean(axis=(0, 1))
    assert red > blue + 30


@pytest.mark.usefixtures("frontal")
@pytest.mark.parametrize(("lighter", "darker"), [("Blond_Hair", "Brown_Hair"), ("Gray_Hair", "Black_Hair")])
def test_hair_has_the_named_colour(lighter: str, darker: str) -> None:
    crown = slice(50, 58), slice(80, 97)
    for seed in SEEDS:
        light = face(seed, Black_Hair=0, **{lighter: 1})[crown].mean()
        dark = face(seed, **({"Black_Hair": 0} | {darker: 1}))[crown].mean()
        assert light > dark + 25


def test_blurry_removes_detail() -> None:
    def detail(image: np.ndarray) -> float:
        return float(np.abs(np.diff(image[90:130], axis=1)).mean())

    assert all(detail(face(seed, Blurry=1)) < 0.9 * detail(face(seed)) for seed in SEEDS)


def test_male_changes_only_measures_in_which_the_classes_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (face(0, Male=1) != face(0, Male=0)).any()
    for name, (_, shift, spread) in traits.MEASURES.items():
        # The mean of one class lies within the range of the other.
        assert abs(shift) <= traits.LARGEST_DEVIATION * spread, name
    unmoved = {name: (mean, 0.0, spread) for name, (mean, _, spread) in traits.MEASURES.items()}
    monkeypatch.setattr(traits, "MEASURES", unmoved)
    np.testing.assert_array_equal(face(0, Male=1), face(0, Male=0))
