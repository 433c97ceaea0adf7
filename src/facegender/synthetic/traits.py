"""What a synthetic face looks like: its measures and colours, from CelebA's attributes and a random generator.

Lengths are pixels, measured from the point between the eyes: right and down are positive.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facegender.data.celeba import HEIGHT, WIDTH
from facegender.synthetic.drawing import SCALE, Canvas, Colour, head_pose, mix, pick, times

EYES_CENTRE = (88.5, 111.0)
"""Between CelebA's median eye points, (69, 111) and (108, 111)."""

MEASURES = {
    # name: (mean, what Male adds to it, standard deviation). The two classes overlap in each of them.
    "face_width": (41.0, 1.2, 2.0),
    "jaw_width": (30.5, 2.6, 2.2),
    "chin_width": (12.0, 2.2, 2.0),
    "chin": (69.0, 2.0, 2.5),
    "skull": (-60.0, 0.0, 2.5),
    "hairline": (-40.0, 0.0, 3.0),
    "hair_length": (76.0, -66.0, 38.0),
    "hair_volume": (9.0, -1.5, 2.5),
    "hair_part": (0.0, 0.0, 0.45),
    "brow_height": (-14.5, 1.8, 1.6),
    "brow_thickness": (2.7, 0.9, 0.7),
    "brow_arch": (2.0, -0.5, 0.8),
    "eye_distance": (19.5, 0.0, 0.7),
    "eye_opening": (4.8, -0.5, 0.5),
    "eye_tilt": (0.8, -0.2, 0.7),
    "nose_width": (8.4, 0.9, 0.9),
    "nose_length": (25.0, 1.0, 1.6),
    "mouth": (42.0, 1.0, 1.6),
    "mouth_width": (15.5, 0.8, 1.4),
    "lip_height": (5.0, -0.7, 0.8),
    "neck_width": (23.5, 3.2, 2.4),
    "shoulder_width": (68.0, 8.0, 7.0),
    "yaw": (0.0, 0.0, 9.0),
    "roll": (0.0, 0.0, 0.09),
    "size": (1.0, 0.0, 0.07),
    "move_right": (0.0, 0.0, 5.0),
    "move_down": (0.0, 0.0, 5.0),
    "contrast": (1.0, 0.0, 0.1),
    "brightness": (0.0, 0.0, 12.0),
}
LARGEST_DEVIATION = 2.0
"""Measures are clipped at this many standard deviations."""

CHANGES = {
    # attribute: what it adds to measures
    "Chubby": {"face_width": 2.5, "jaw_width": 4.5},
    "Oval_Face": {"face_width": -1.0, "jaw_width": -1.5, "chin_width": -1.5, "chin": 2.0},
    "Bushy_Eyebrows": {"brow_thickness": 1.8},
    "Arched_Eyebrows": {"brow_arch": 2.6},
    "Narrow_Eyes": {"eye_opening": -1.9},
    "Big_Nose": {"nose_width": 3.8, "nose_length": 1.5},
    "Pointy_Nose": {"nose_width": -1.4, "nose_length": 1.5},
    "Big_Lips": {"lip_height": 2.2},
    "Smiling": {"mouth_width": 3.0},
    "Receding_Hairline": {"hairline": -6.0},
}

SKINS = ((247, 218, 198), (238, 200, 172), (226, 180, 148), (201, 150, 115), (158, 108, 78), (110, 74, 54))
PALE_SKIN = (252, 232, 222)
HAIRS = {
    "Gray_Hair": (172, 170, 168),
    "Blond_Hair": (214, 176, 112),
    "Brown_Hair": (98, 62, 40),
    "Black_Hair": (32, 28, 28),
}
OTHER_HAIRS = ((124, 66, 40), (72, 52, 40), (150, 116, 76))
CHOICES = ("skin", "hair", "hair_shade", "wave", "clothes", "trim", "metal", "light", "lips", "iris", "frame", "style")


@dataclass(frozen=True)
class Face:
    """Everything that determines what a face looks like, and the canvas it is drawn on."""

    canvas: Canvas
    has: Mapping[str, int]
    size: Mapping[str, float]
    skin: Colour
    hair: Colour
    choice: Mapping[str, float]
    """A number in [0, 1) for each of CHOICES."""

    noise: Mapping[str, np.random.Generator]
    """For texture: a generator for each part, because the attributes decide how many numbers are taken from it."""

    @property
    def lit_side(self) -> int:
        """The side that the light comes from: -1 left, 1 right."""
        return 1 if np.cos(2 * np.pi * self.choice["light"]) > 0 else -1


def make_face(has: Mapping[str, int], rng: np.random.Generator) -> Face:
    """Choose measures, colours and pose, and prepare a black canvas.

    Args:
        has: 0/1 for each of celeba.ATTRIBUTES.
        rng: source of everything that the attributes leave open.
    """
    deviations = rng.standard_normal(len(MEASURES)).clip(-LARGEST_DEVIATION, LARGEST_DEVIATION)
    choice = dict(zip(CHOICES, rng.random(len(CHOICES)), strict=True))
    seeds = rng.integers(2**63, size=4)
    noise = {
        part: np.random.default_rng(seed) for part, seed in zip(("scene", "hair", "beard", "grain"), seeds, strict=True)
    }
    size = {
        name: mean + shift * has["Male"] + spread * deviation
        for (name, (mean, shift, spread)), deviation in zip(MEASURES.items(), deviations, strict=True)
    }
    for attribute, changes in CHANGES.items():
        for name, change in changes.items():
            size[name] += change * has[attribute]
    tone = (len(SKINS) - 1) * choice["skin"] ** (3.5 if has["Blond_Hair"] else 1.8)
    skin = mix(SKINS[int(tone)], SKINS[int(tone) + 1], tone % 1)
    if has["Pale_Skin"]:
        skin = mix(skin, PALE_SKIN, 0.75)
    named = [colour for name, colour in HAIRS.items() if has[name]]
    hair = times(named[0] if named else pick(OTHER_HAIRS, choice["hair"]), 0.85 + 0.3 * choice["hair_shade"])
    right, down = EYES_CENTRE[0] + size["move_right"], EYES_CENTRE[1] + size["move_down"]
    pixels = np.zeros((HEIGHT * SCALE, WIDTH * SCALE, 3), np.uint8)
    canvas = Canvas(pixels, head_pose(right, down, size["size"], size["roll"]), size["yaw"])
    return Face(canvas, has, size, skin, hair, choice, noise)
