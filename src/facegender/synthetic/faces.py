"""Drawing of a face that shows CelebA's attributes, in an image aligned like CelebA's.

Lengths are pixels, measured from the point between the eyes: right and down are positive.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from facegender.data.celeba import HEIGHT, WIDTH
from facegender.synthetic import clothing, hair, head
from facegender.synthetic.drawing import ellipse, mirror, smooth, times
from facegender.synthetic.traits import Face, make_face


def draw_face(attributes: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
    """Draw one face.

    What the attributes leave open comes from `rng`, in an order that does not depend on them: with the same random
    state, two faces differ only where their attributes do. `Attractive` is a judgement and changes nothing.

    Args:
        attributes: 0/1 for each of celeba.ATTRIBUTES.
        rng: source of everything else.

    Returns:
        uint8 RGB, (218, 178, 3).
    """
    face = make_face(attributes, rng)
    edges = hair.hair_edges(face)
    # From back to front: each layer covers those before it.
    _draw_background(face)
    clothing.draw_clothes(face)
    hair.draw_hair_behind(face, edges)
    _draw_neck(face)
    clothing.draw_necktie(face)
    clothing.draw_necklace(face)
    head.draw_head(face)
    head.draw_age(face)
    head.draw_nose(face)
    hair.draw_beard(face)
    head.draw_mouth(face)
    head.draw_eyes(face)
    hair.draw_brows(face)
    hair.draw_hair(face, edges)
    clothing.draw_earrings(face)
    clothing.draw_glasses(face)
    clothing.draw_hat(face)
    return _photograph(face)


def _draw_background(face: Face) -> None:
    """Draw a gradient between two colours, with soft spots."""
    noise = face.noise["scene"]
    ends = noise.uniform(40, 190, (2, 3))
    ends = 0.6 * ends.mean(axis=1, keepdims=True) + 0.4 * ends
    small = np.linspace(ends[0], ends[1], 5)[:, None] + noise.normal(0, 14, (5, 4, 1))
    # Cubic resizing to the full size would take a third of the time of the whole face.
    curved = cv2.resize(small.clip(0, 255).astype(np.uint8), (44, 54), interpolation=cv2.INTER_CUBIC)
    face.canvas.pixels[:] = cv2.resize(curved, face.canvas.pixels.shape[1::-1])


def _draw_neck(face: Face) -> None:
    canvas, skin, neck, chin = face.canvas, face.skin, face.size["neck_width"], face.size["chin"]
    outline = smooth(mirror([(0, 35), (neck, 40), (neck - 1, 75), (neck + 4, 88), (12, 99), (0, 102)]))
    canvas.fill(outline, times(skin, 0.86))
    canvas.shade(ellipse(0, chin + 1, neck + 5, 13), times(skin, 0.55), 4, 0.75)


def _photograph(face: Face) -> np.ndarray:
    """Add light from one side, exposure, blur if `Blurry`, and grain."""
    image = face.canvas.image()
    if face.has["Blurry"]:
        image = cv2.GaussianBlur(image, (0, 0), 1.8)
    angle = 2 * np.pi * face.choice["light"]
    right, down = np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT)[:, None]
    contrast = face.size["contrast"]
    light = contrast * (1 + 0.15 * (np.cos(angle) * right + np.sin(angle) * down))
    grain = 2.5 * face.noise["grain"].standard_normal((HEIGHT, WIDTH), dtype=np.float32)
    grey = grain + (face.size["brightness"] + 128 * (1 - contrast))
    # cv2 copies a plane to three channels several times as fast as numpy broadcasts it.
    factor, offset = (cv2.cvtColor(plane.astype(np.float32), cv2.COLOR_GRAY2RGB) for plane in (light, grey))
    return (image * factor + offset).clip(0, 255).astype(np.uint8)
