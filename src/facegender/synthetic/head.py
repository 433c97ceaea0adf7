"""Skin, marks of age, nose, mouth and eyes."""

import numpy as np

from facegender.synthetic.drawing import SIDES, WHITE, arc, between, ellipse, mirror, mix, pick, ribbon, smooth, times
from facegender.synthetic.traits import Face

IRISES = ((84, 54, 34), (70, 48, 34), (58, 40, 30), (92, 104, 70), (88, 118, 146))
LIPSTICKS = ((190, 24, 48), (206, 50, 90), (168, 30, 60))
LIP_BLOOD = (160, 44, 56)
BLUSH, EYE_SHADOW, TEETH, BLACK = (224, 92, 96), (86, 60, 84), (238, 232, 222), (0, 0, 0)


def face_outline(face: Face) -> np.ndarray:
    """Return the edge of skull and face: float (points, 2), closed."""
    size = face.size
    width, height = size["face_width"], -8 - size["skull"]
    half = [(width * np.cos(angle), -8 - height * np.sin(angle)) for angle in np.radians([90, 62, 33])]
    half += [
        (width, -8),
        (0.98 * width, 18),
        (size["jaw_width"], 46),
        (size["chin_width"], size["chin"] - 3),
        (0, size["chin"]),
    ]
    half[0] = (0, half[0][1])
    return smooth(mirror(half))


def draw_head(face: Face) -> None:
    """Draw ears, chin, face, its light and shadow, and the cheeks."""
    canvas, has, skin, width, chin = face.canvas, face.has, face.skin, face.size["face_width"], face.size["chin"]
    for side in SIDES:
        canvas.fill(ellipse(side * (width + 1), 10, 5.5, 12), times(skin, 0.88))
        canvas.shade(ellipse(side * (width + 1.5), 10, 2.5, 7), times(skin, 0.65), 1.5, 0.7)
    if has["Double_Chin"]:
        canvas.fill(ellipse(0, chin - 3, 27, 12), times(skin, 0.9))
        canvas.line(arc(0, chin - 5, 22, 11, 20, 160), times(skin, 0.66), 1.2)
    outline = face_outline(face)
    canvas.fill(outline, times(skin, 0.84))
    canvas.shade(outline * (0.82, 0.88), skin, 7, 1.0)
    canvas.shade(ellipse(0, -27, 24, 11), times(skin, 1.07), 6, 0.7)
    canvas.shade(ellipse(face.lit_side * -width * 0.72, 20, 12, 40), times(skin, 0.66), 8, 0.45)
    canvas.shade(ellipse(face.lit_side * width * 0.5, 15, 11, 14), times(skin, 1.1), 6, 0.5)
    for side in SIDES:
        if has["High_Cheekbones"]:
            canvas.shade(ellipse(side * 27, 16, 9, 5), times(skin, 1.12), 4, 0.9)
            canvas.shade(ellipse(side * 31, 32, 5, 9), times(skin, 0.72), 5, 0.7)
        if has["Chubby"]:
            canvas.shade(ellipse(side * 27, 31, 11, 11), times(skin, 1.08), 5, 0.8)
        if has["Rosy_Cheeks"] or has["Heavy_Makeup"]:
            strength = 0.45 * has["Rosy_Cheeks"] + 0.15 * has["Heavy_Makeup"]
            canvas.shade(ellipse(side * 26, 22, 10, 7), BLUSH, 5, strength)


def draw_age(face: Face) -> None:
    """Draw the folds of a smile and of age, and bags under the eyes."""
    canvas, old, fold, nose = face.canvas, 1 - face.has["Young"], times(face.skin, 0.66), face.size["nose_width"]
    for side in SIDES:
        if face.has["Bags_Under_Eyes"]:
            canvas.shade(ellipse(side * face.size["eye_distance"], 9, 9, 3), times(face.skin, 0.66), 1.5, 0.7)
            canvas.shade(ellipse(side * face.size["eye_distance"], 5.5, 7, 1.5), times(face.skin, 1.05), 1, 0.6)
        if old or face.has["Smiling"]:
            cheek = [(side * (nose + 3), 23), (side * 18, 30), (side * 23, 38), (side * 24, 46)]
            canvas.shade(ribbon(smooth(cheek, closed=False), 1.2), fold, 1, 0.5 + 0.3 * old)
        if old:
            for rise in (-4, 0, 4):
                canvas.line([(side * 32, rise * 0.5), (side * 37, rise)], fold, 0.5)
            canvas.shade(ellipse(side * 27, 52, 5, 8), fold, 4, 0.5)
    if old:
        for height in (-33, -28, -23):
            canvas.shade(ribbon(arc(0, height + 90, 75, 90, 252, 288), 0.9), fold, 0.8, 0.75)


def draw_nose(face: Face) -> None:
    """Draw the bridge, tip, wings and nostrils."""
    canvas, width, tip = face.canvas, face.size["nose_width"], face.size["nose_length"]
    dark, light, away = times(face.skin, 0.66), times(face.skin, 1.13), -face.lit_side
    canvas.shade([(away * 3, -8), (away * 7, -4), (away * (width + 1), tip), (away * 4, tip - 3)], dark, 2.5, 0.65)
    canvas.shade(ellipse(0, 8, 2, tip - 13), light, 1.8, 0.7)
    canvas.shade(ellipse(0, tip + 4, width, 2.5), dark, 2, 0.7)
    blunt = 0.42 if face.has["Pointy_Nose"] else 0.6
    canvas.shade(ellipse(0, tip - 3, width * blunt, width * 0.5), light, 2, 0.9)
    for side in SIDES:
        wing = arc(width - 2.2, tip - 1, 3, 4.5, -70, 80) * (side, 1)
        canvas.line(wing, dark, 1.0)
        canvas.fill(ellipse(side * width * 0.48, tip + 1.3, width * 0.22, 1.3), times(face.skin, 0.4))


def draw_mouth(face: Face) -> None:
    """Draw lips, and teeth if the mouth is open."""
    canvas, has, middle, lip = face.canvas, face.has, face.size["mouth"], face.size["lip_height"]
    rise = 4.5 if has["Smiling"] else 0.0
    gap = (6.0 if has["Smiling"] else 4.5) * has["Mouth_Slightly_Open"]
    colour = mix(face.skin, LIP_BLOOD, 0.4)
    if has["Wearing_Lipstick"]:
        colour = pick(LIPSTICKS, face.choice["lips"])
    elif has["Heavy_Makeup"]:
        colour = mix(face.skin, LIP_BLOOD, 0.65)
    across = np.linspace(-1, 1, 25)
    x, fullness = across * face.size["mouth_width"], (1 - across**2) ** 0.8
    curve = middle + 1.5 - rise * np.abs(across) ** 1.7
    top, bottom = curve - 0.35 * gap * fullness, curve + 0.65 * gap * fullness
    upper = top - 0.85 * lip * fullness * (1 - 0.22 * np.exp(-((across / 0.16) ** 2)))
    lower = bottom + lip * fullness
    canvas.shade(ellipse(0, lower[12] + 4, x[-1] * 0.5, 2), times(face.skin, 0.7), 1.8, 0.8 * has["No_Beard"])
    canvas.fill(between(x, upper, lower), colour)
    canvas.fill(between(x, upper, top), times(colour, 0.84))
    canvas.shade(ellipse(0, bottom[12] + lip * 0.45, x[-1] * 0.35, lip * 0.2), times(colour, 1.3), 1, 0.6)
    if gap:
        canvas.fill(between(x, top, bottom), (70, 24, 26))
        teeth = top + (0.75 if has["Smiling"] else 0.4) * (bottom - top)
        canvas.fill(between(x * 0.86, top, teeth), TEETH)
    else:
        canvas.line(np.column_stack([x, curve]), times(colour, 0.5), 0.9)


def draw_eyes(face: Face) -> None:
    """Draw both eyes with their lids, and make-up."""
    canvas, has, skin, opening = face.canvas, face.has, face.skin, face.size["eye_opening"]
    iris = pick(IRISES, face.choice["iris"])
    along = np.linspace(-1, 1, 17)
    x, bulge, tilt = 9.3 * along, 1 - along**2, face.size["eye_tilt"] * along
    upper, lower = -tilt - opening * bulge**0.8, -tilt + 0.7 * opening * bulge
    for side in SIDES:
        # Drawn as the right eye and mirrored: `outward` runs from the nose to the temple.
        outward = np.array([side, 1.0])
        middle = np.array([side * face.size["eye_distance"], 0.0])
        canvas.shade(ellipse(middle[0], -4, 12, 6), times(skin, 0.76), 3, 0.75)
        if has["Heavy_Makeup"]:
            canvas.shade(ellipse(middle[0], -4.5, 10.5, 4), EYE_SHADOW, 2, 0.65)
        canvas.fill(between(x, upper, lower) * outward + middle, (236, 231, 227))
        for radius, colour in ((4.7, times(iris, 0.55)), (4.0, iris), (2.0, (12, 10, 10))):
            ring = ellipse(0, -0.6, radius, radius)
            ring[:, 1] = ring[:, 1].clip(np.interp(ring[:, 0], x, upper), np.interp(ring[:, 0], x, lower))
            canvas.fill(ring * outward + middle, colour)
        canvas.fill(ellipse(middle[0] + 1.4, -min(2.0, opening / 2), 0.9, 0.9), WHITE)
        lid = np.column_stack([x, upper]) * outward + middle
        canvas.shade(ribbon(lid + (0, 0.8), 1.6), BLACK, 0.5, 0.3)
        canvas.line(lid, times(skin, 0.3), 1.9 if has["Heavy_Makeup"] else 1.2)
        canvas.line(lid[3:-3] - (0, 3.2), times(skin, 0.62), 0.7)
        canvas.line((np.column_stack([x, lower]) * outward + middle)[2:-1], times(skin, 0.6), 0.5)
        if has["Heavy_Makeup"]:
            for root in lid[10:]:
                canvas.line([root, root + (1.8, -2.4) * outward], BLACK, 0.5)
