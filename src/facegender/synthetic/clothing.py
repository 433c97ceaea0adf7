"""Clothes, jewellery, glasses and hats."""

import numpy as np

from facegender.synthetic.drawing import SIDES, WHITE, arc, ellipse, mirror, pick, smooth, times
from facegender.synthetic.traits import Face

CLOTHES = ((36, 38, 48), (120, 30, 40), (40, 70, 120), (210, 206, 200), (70, 100, 80), (150, 110, 140), (196, 160, 70))
METALS = ((222, 186, 84), (214, 216, 222))
FRAMES = ((24, 22, 24), (90, 50, 30), (130, 130, 136))


def draw_clothes(face: Face) -> None:
    """Draw shoulders and the shadow of the head on them."""
    colour = pick(CLOTHES, face.choice["clothes"])
    shoulder, neck = face.size["shoulder_width"], face.size["neck_width"]
    half = [(0, 84), (neck, 84), (neck + 12, 89), (shoulder, 100), (shoulder + 12, 125), (0, 130)]
    face.canvas.fill(smooth(mirror(half)), colour)
    face.canvas.shade(ellipse(0, 100, neck + 14, 12), times(colour, 0.65), 5, 0.6)


def draw_necktie(face: Face) -> None:
    """Draw a white collar and a tie."""
    if not face.has["Wearing_Necktie"]:
        return
    canvas, colour, neck = face.canvas, pick(CLOTHES, face.choice["trim"]), face.size["neck_width"]
    for side in SIDES:
        collar = [(side * (neck + 3), 80), (side * (neck + 9), 92), (side * 12, 112), (0, 97)]
        canvas.fill(collar, (240, 240, 238))
        canvas.line([collar[2], collar[3]], (170, 170, 170), 0.6)
    canvas.fill([(-6, 94), (6, 94), (4, 101), (9, 125), (-9, 125), (-4, 101)], times(colour, 0.8))
    canvas.line([(-4, 101), (4, 101)], times(colour, 0.5), 0.8)


def draw_necklace(face: Face) -> None:
    """Draw a chain of beads."""
    if not face.has["Wearing_Necklace"]:
        return
    canvas, metal, neck = face.canvas, pick(METALS, face.choice["metal"]), face.size["neck_width"]
    across = np.linspace(-1, 1, 21)
    chain = np.column_stack([across * (neck + 2), 98 - 13 * across**2])
    canvas.line(chain, times(metal, 0.5), 2.0)
    for x, y in chain[1:-1]:
        canvas.fill(ellipse(x, y, 1.4, 1.4), metal)


def draw_earrings(face: Face) -> None:
    """Draw rings or pendants below the ears."""
    if not face.has["Wearing_Earrings"]:
        return
    canvas, metal = face.canvas, pick(METALS, face.choice["metal"])
    for side in SIDES:
        x = side * (face.size["face_width"] + 2)
        if face.choice["style"] < 0.5:
            canvas.line(arc(x, 29, 4.5, 7, -90, 270), metal, 1.5)
        else:
            canvas.fill(ellipse(x, 24, 1.8, 1.8), metal)
            canvas.fill(ellipse(x, 33, 2.6, 5.5), times(metal, 0.9))
            canvas.fill(ellipse(x - 0.7, 31, 0.9, 1.5), WHITE)


def draw_glasses(face: Face) -> None:
    """Draw round or square glasses, some of them dark."""
    if not face.has["Eyeglasses"]:
        return
    canvas, frame, style = face.canvas, pick(FRAMES, face.choice["frame"]), face.choice["style"]
    lens, clearness = ((30, 30, 36), 0.88) if style < 0.2 else ((225, 232, 240), 0.12)
    power = 0.5 if style < 0.6 else 0.9
    turn = np.radians(np.linspace(0, 360, 41))
    wave = np.column_stack([np.cos(turn), np.sin(turn)])
    rim = np.sign(wave) * np.abs(wave) ** power * (15, 10.5)
    for side in SIDES:
        placed = rim + (side * face.size["eye_distance"], 1.5)
        canvas.shade(placed, lens, 0, clearness)
        canvas.line(placed, frame, 1.8)
        canvas.line([(side * 34, -2), (side * (face.size["face_width"] + 1), -4)], frame, 1.8)
    canvas.line(arc(0, 1, 5, 4, 200, 340), frame, 1.8)


def draw_hat(face: Face) -> None:
    """Draw a hat with a brim or a band."""
    if not face.has["Wearing_Hat"]:
        return
    canvas, colour, width, top = (
        face.canvas,
        pick(CLOTHES, face.choice["trim"]),
        face.size["face_width"] + 7,
        face.size["skull"] - 14,
    )
    crown = [(0, top), (0.7 * width, top + 6), (width, -44), (width, -26), (0.5 * width, -30), (0, -31)]
    canvas.fill(smooth(mirror(crown)), colour)
    canvas.shade(ellipse(face.lit_side * 0.3 * width, top + 20, 14, 10), times(colour, 1.4), 6, 0.5)
    canvas.shade(ellipse(0, -20, width - 12, 4), times(face.skin, 0.5), 3, 0.5)
    if face.choice["style"] < 0.5:
        brim = [(0, -37), (width + 2, -31), (width + 20, -22), (width, -19), (0, -25)]
        canvas.fill(smooth(mirror(brim)), times(colour, 0.8))
    else:
        canvas.line(arc(0, -25, width, 9, 190, 350), times(colour, 0.65), 7.0)
