"""Draws a face that shows CelebA's attributes, in an image aligned as CelebA's are.

Lengths are pixels, measured from the point between the eyes: right and down are positive.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from facegender.data.celeba import HEIGHT, WIDTH
from facegender.synthetic.drawing import Colour, arc, between, ellipse, mirror, mix, pick, ribbon, smooth, times
from facegender.synthetic.traits import Face, imagine

IRISES = ((84, 54, 34), (70, 48, 34), (58, 40, 30), (92, 104, 70), (88, 118, 146))
CLOTHES = ((36, 38, 48), (120, 30, 40), (40, 70, 120), (210, 206, 200), (70, 100, 80), (150, 110, 140), (196, 160, 70))
LIPSTICKS = ((190, 24, 48), (206, 50, 90), (168, 30, 60))
METALS = ((222, 186, 84), (214, 216, 222))
FRAMES = ((24, 22, 24), (90, 50, 30), (130, 130, 136))
STUBBLE, LIP_BLOOD = (62, 62, 68), (160, 44, 56)
BLUSH, EYE_SHADOW, TEETH, WHITE, BLACK = (224, 92, 96), (86, 60, 84), (238, 232, 222), (255, 255, 255), (0, 0, 0)
SIDES = (-1, 1)

Edges = tuple[np.ndarray, np.ndarray]


def render_face(attributes: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
    """Draw one face.

    Whatever the attributes leave open is drawn from `rng` in an order that does not depend on them: with the same
    random state, two faces differ only where their attributes do. Attractive, a judgement, is not drawn.

    Args:
        attributes: 0/1 for each of celeba.ATTRIBUTES.
        rng: the source of everything else.

    Returns:
        uint8 RGB, (218, 178, 3).
    """
    face = imagine(attributes, rng)
    _draw_background(face)
    _draw_clothes(face)
    hair = _hair_edges(face)
    _draw_hair_behind(face, hair)
    _draw_neck(face)
    _draw_head(face)
    _draw_age(face)
    _draw_nose(face)
    _draw_beard(face)
    _draw_mouth(face)
    _draw_eyes(face)
    _draw_brows(face)
    _draw_hair(face, hair)
    _draw_earrings(face)
    _draw_glasses(face)
    _draw_hat(face)
    return _photograph(face)


def _draw_background(face: Face) -> None:
    """Two colours that run into each other, with soft blots."""
    noise = face.noise["scene"]
    ends = noise.uniform(40, 190, (2, 3))
    ends = 0.6 * ends.mean(axis=1, keepdims=True) + 0.4 * ends
    small = np.linspace(ends[0], ends[1], 5)[:, None] + noise.normal(0, 14, (5, 4, 1))
    # Cubic resizing alone takes as long as a third of the face.
    curved = cv2.resize(small.clip(0, 255).astype(np.uint8), (44, 54), interpolation=cv2.INTER_CUBIC)
    face.canvas.pixels[:] = cv2.resize(curved, face.canvas.pixels.shape[1::-1])


def _draw_clothes(face: Face) -> None:
    colour = pick(CLOTHES, face.choice["clothes"])
    shoulder, neck = face.size["shoulder_width"], face.size["neck_width"]
    half = [(0, 84), (neck, 84), (neck + 12, 89), (shoulder, 100), (shoulder + 12, 125), (0, 130)]
    face.canvas.fill(smooth(mirror(half)), colour)
    face.canvas.shade(ellipse(0, 100, neck + 14, 12), times(colour, 0.65), 5, 0.6)


def _draw_neck(face: Face) -> None:
    canvas, skin, neck, chin = face.canvas, face.skin, face.size["neck_width"], face.size["chin"]
    outline = smooth(mirror([(0, 35), (neck, 40), (neck - 1, 75), (neck + 4, 88), (12, 99), (0, 102)]))
    canvas.fill(outline, times(skin, 0.86))
    canvas.shade(ellipse(0, chin + 1, neck + 5, 13), times(skin, 0.55), 4, 0.75)
    if face.has["Wearing_Necktie"]:
        tie = pick(CLOTHES, face.choice["trim"])
        for side in SIDES:
            collar = [(side * (neck + 3), 80), (side * (neck + 9), 92), (side * 12, 112), (0, 97)]
            canvas.fill(collar, (240, 240, 238))
            canvas.line([collar[2], collar[3]], (170, 170, 170), 0.6)
        canvas.fill([(-6, 94), (6, 94), (4, 101), (9, 125), (-9, 125), (-4, 101)], times(tie, 0.8))
        canvas.line([(-4, 101), (4, 101)], times(tie, 0.5), 0.8)
    if face.has["Wearing_Necklace"]:
        metal = pick(METALS, face.choice["metal"])
        across = np.linspace(-1, 1, 21)
        chain = np.column_stack([across * (neck + 2), 98 - 13 * across**2])
        canvas.line(chain, times(metal, 0.5), 2.0)
        for x, y in chain[1:-1]:
            canvas.fill(ellipse(x, y, 1.4, 1.4), metal)


def _draw_head(face: Face) -> None:
    canvas, has, skin, width, chin = face.canvas, face.has, face.skin, face.size["face_width"], face.size["chin"]
    for side in SIDES:
        canvas.fill(ellipse(side * (width + 1), 10, 5.5, 12), times(skin, 0.88))
        canvas.shade(ellipse(side * (width + 1.5), 10, 2.5, 7), times(skin, 0.65), 1.5, 0.7)
    if has["Double_Chin"]:
        canvas.fill(ellipse(0, chin - 3, 27, 12), times(skin, 0.9))
        canvas.line(arc(0, chin - 5, 22, 11, 20, 160), times(skin, 0.66), 1.2)
    outline = _outline(face)
    canvas.fill(outline, times(skin, 0.84))
    canvas.shade(outline * (0.82, 0.88), skin, 7, 1.0)
    canvas.shade(ellipse(0, -27, 24, 11), times(skin, 1.07), 6, 0.7)
    canvas.shade(ellipse(_lit(face) * -width * 0.72, 20, 12, 40), times(skin, 0.66), 8, 0.45)
    canvas.shade(ellipse(_lit(face) * width * 0.5, 15, 11, 14), times(skin, 1.1), 6, 0.5)
    for side in SIDES:
        if has["High_Cheekbones"]:
            canvas.shade(ellipse(side * 27, 16, 9, 5), times(skin, 1.12), 4, 0.9)
            canvas.shade(ellipse(side * 31, 32, 5, 9), times(skin, 0.72), 5, 0.7)
        if has["Chubby"]:
            canvas.shade(ellipse(side * 27, 31, 11, 11), times(skin, 1.08), 5, 0.8)
        if has["Rosy_Cheeks"] or has["Heavy_Makeup"]:
            strength = 0.45 * has["Rosy_Cheeks"] + 0.15 * has["Heavy_Makeup"]
            canvas.shade(ellipse(side * 26, 22, 10, 7), BLUSH, 5, strength)


def _draw_age(face: Face) -> None:
    """Folds of smiling and of age, and bags under the eyes."""
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


def _draw_nose(face: Face) -> None:
    canvas, width, tip = face.canvas, face.size["nose_width"], face.size["nose_length"]
    dark, light, away = times(face.skin, 0.66), times(face.skin, 1.13), -_lit(face)
    canvas.shade([(away * 3, -8), (away * 7, -4), (away * (width + 1), tip), (away * 4, tip - 3)], dark, 2.5, 0.65)
    canvas.shade(ellipse(0, 8, 2, tip - 13), light, 1.8, 0.7)
    canvas.shade(ellipse(0, tip + 4, width, 2.5), dark, 2, 0.7)
    blunt = 0.42 if face.has["Pointy_Nose"] else 0.6
    canvas.shade(ellipse(0, tip - 3, width * blunt, width * 0.5), light, 2, 0.9)
    for side in SIDES:
        wing = arc(width - 2.2, tip - 1, 3, 4.5, -70, 80) * (side, 1)
        canvas.line(wing, dark, 1.0)
        canvas.fill(ellipse(side * width * 0.48, tip + 1.3, width * 0.22, 1.3), times(face.skin, 0.4))


def _draw_beard(face: Face) -> None:
    canvas, has, width, chin, mouth = (
        face.canvas,
        face.has,
        face.size["face_width"],
        face.size["chin"],
        face.size["mouth"],
    )
    colour, lip = times(face.hair, 0.8), mouth - face.size["lip_height"] - 1.5
    full = not (has["No_Beard"] or has["5_o_Clock_Shadow"] or has["Goatee"] or has["Mustache"] or has["Sideburns"])
    edge = _outline(face)
    edge = edge[edge[:, 1] > 6]
    edge = edge[np.argsort(np.arctan2(edge[:, 0], edge[:, 1]))]
    cheek = smooth([(width - 4, 6), (width - 8, 24), (22, lip - 2), (6, lip - 5), (0, lip - 4)], closed=False)
    jaw = np.concatenate([edge, cheek, cheek[::-1] * (-1, 1)])
    moustache = smooth(mirror([(0, lip - 5), (8, lip - 4), (17, lip + 4), (18, lip + 9), (9, lip + 2), (0, lip + 1)]))
    goatee = smooth(mirror([(0, mouth + 8), (9, mouth + 10), (12, mouth + 16), (9, chin + 1), (0, chin + 3)]))
    if has["5_o_Clock_Shadow"]:
        canvas.shade(jaw, mix(colour, STUBBLE, 0.6), 3, 0.4)
    if full:
        canvas.shade(jaw, colour, 1.2, 0.9)
        _draw_stubble(face, jaw, colour, 220)
    if has["Mustache"] or has["Goatee"] or full:
        canvas.shade(moustache, colour, 0.8, 0.9 if has["Mustache"] or full else 0.5)
    if has["Goatee"]:
        canvas.shade(goatee, colour, 1, 0.92)
        _draw_stubble(face, goatee, colour, 50)
    if has["Sideburns"]:
        strip = np.array([(width, -14), (width - 4, -12), (width - 5, 16), (width - 7, 27), (width - 1, 22)])
        for side in SIDES:
            canvas.shade(strip * (side, 1), colour, 1, 0.9)


def _draw_stubble(face: Face, area: np.ndarray, colour: Colour, count: int) -> None:
    """Single hairs, from the edge of the area some way towards its lower middle."""
    noise = face.noise["beard"]
    edge = area[noise.integers(len(area), size=count)]
    middle = np.array([0.0, area[:, 1].max() - 8])
    roots = middle + (edge - middle) * noise.uniform(0.5, 0.9, (count, 1))
    shines = noise.normal(1.0, 0.3, count)
    from_mouth = np.abs(roots - (0, face.size["mouth"])) / (face.size["mouth_width"], 10)
    free = (from_mouth > 1).any(axis=1) & (roots[:, 1] > face.size["mouth"] - 2)
    hairs = np.stack([roots, roots * (0.99, 1) + (0, 2)], axis=1)
    face.canvas.lines(hairs[free], [times(colour, shine) for shine in shines[free]], 0.5)


def _draw_mouth(face: Face) -> None:
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


def _draw_eyes(face: Face) -> None:
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


def _draw_brows(face: Face) -> None:
    canvas, thick = face.canvas, face.size["brow_thickness"]
    along = np.linspace(0, 1, 9)
    x = 8.5 + 25 * along
    middle = face.size["brow_height"] + 1.5 - face.size["brow_arch"] * np.sin(np.pi * along**1.3) + 2.0 * along**3
    half = 0.5 * thick * (1 - 0.75 * along**1.6)
    colour = times(mix(face.hair, face.skin, 0.12), 0.62)
    for side in SIDES:
        canvas.shade(between(side * x, middle - half, middle + half), colour, 0.5, 0.9)
        if face.has["Bushy_Eyebrows"]:
            for root, up in zip(side * x[:-1], middle[:-1], strict=True):
                canvas.line([(root, up + 1.5), (root + side * 2, up - thick * 0.6)], times(colour, 0.8), 0.7)


def _hair_edges(face: Face) -> Edges:
    """The hair's inner and outer edge, from its left end over the head to its right end, with as many points each."""
    size, has = face.size, face.has
    width, volume, receding = size["face_width"], size["hair_volume"], has["Receding_Hairline"]
    long = _hair_long(face)
    down = np.linspace(-8, np.clip(size["hair_length"], 0, 115), 7)
    side = (1 + 0.4 * has["Wavy_Hair"]) * (1.5 + (volume - 1.5) * long)
    inner = [
        (0.4 * size["hair_part"] * width, size["hairline"]),
        (0.5 * width, size["hairline"] + 2 - 9 * receding),
        (0.83 * width, size["hairline"] + 14 - 9 * receding),
    ]
    height = -8 - size["skull"] + volume
    angle = np.radians([90, 62, 33])
    crown = np.column_stack([(width + 1 + side) * np.cos(angle), -8 - height * np.sin(angle)])
    inner_x = np.interp(down, [-8, 10, 60, 115], [width - 2, width - 1 - 4 * long, width - 8, width - 6])
    outer_x = width + 1 + side + 0.05 * long * (down + 8) - [0, 0, 0, 0, 0, 1, 4 + 2 * long]
    if has["Wavy_Hair"]:
        outer_x = outer_x + (0.5 + 2 * long) * np.sin(down / 6.5 + 6 * face.choice["wave"])
    edges = []
    for top, side_x in ((np.array(inner), inner_x), (crown, outer_x)):
        right = np.concatenate([top, np.column_stack([side_x, down])])
        edges.append(smooth(np.concatenate([right[:0:-1] * (-1, 1), right]), closed=False))
    return edges[0], edges[1]


def _hair_long(face: Face) -> float:
    """From 0, above the ears, to 1, on the shoulders."""
    return float(np.clip((face.size["hair_length"] - 15) / 40, 0, 1))


def _draw_hair_behind(face: Face, edges: Edges) -> None:
    if not face.has["Bald"]:
        face.canvas.fill(edges[1], times(face.hair, 0.55))


def _draw_hair(face: Face, edges: Edges) -> None:
    canvas, hair, noise = face.canvas, face.hair, face.noise["hair"]
    if face.has["Bald"]:
        canvas.shade(ellipse(_lit(face) * 10, face.size["skull"] + 14, 13, 6), times(face.skin, 1.2), 4, 0.7)
        return
    inner, outer = edges
    canvas.fill(np.concatenate([inner, outer[::-1]]), times(hair, 0.8))
    wave = 1.6 if face.has["Wavy_Hair"] else 0.0 if face.has["Straight_Hair"] else 0.5
    if _hair_long(face) > 0:
        place = np.sort(noise.random(40))
        along = np.linspace(0, 1, len(inner))[:, None]
        strands = inner + (outer - inner) * place[:, None, None] + wave * np.sin(70 * along + 9 * place[:, None, None])
        shines = noise.normal(0.95, 0.14, 40) + 0.25 * np.sin(np.pi * place)
        canvas.lines(strands, [times(hair, shine) for shine in shines], 0.6)
        canvas.line([inner[len(inner) // 2], outer[len(outer) // 2]], times(hair, 0.72), 0.5)
    else:
        part = face.size["hair_part"]
        root = noise.integers(len(inner), size=170)
        tip = (root + round(np.copysign(4 + 3 * abs(part), part))).clip(0, len(outer) - 1)
        start = inner[root]
        end = start + (outer[tip] - start) * noise.uniform(0.6, 0.95, (170, 1))
        bend = (start + end) / 2 + (0, -1.5) + wave * noise.normal(0, 1, (170, 2))
        shines = noise.normal(1.0, 0.16, 170)
        canvas.lines(np.stack([start, bend, end], axis=1), [times(hair, shine) for shine in shines], 0.6)
    canvas.shade(arc(0, -8, 32, 57, 215, 325), times(hair, 1.45), 3, 0.25)
    if face.has["Bangs"]:
        _draw_bangs(face)


def _draw_bangs(face: Face) -> None:
    width, part, noise = face.size["face_width"], face.size["hair_part"], face.noise["hair"]
    across = np.linspace(-0.97, 0.97, 48)
    root = face.size["hairline"] - 3 + 14 * across**2
    end = -19 + 5 * across**2 - 4 * np.exp(-(((across - part) / 0.2) ** 2)) + noise.uniform(-1.8, 1.8, len(across))
    x = across * width
    face.canvas.fill(between(x, np.minimum(root, end) - 2, end), times(face.hair, 0.85))
    sway = 4 * np.sign(across - part)
    strands = np.stack([(x - sway, root - 7), (x, (root + end) / 2), (x + sway * 0.3, end)]).transpose(2, 0, 1)
    face.canvas.lines(strands, [times(face.hair, shine) for shine in noise.normal(1.0, 0.16, len(x))], 0.8)


def _draw_earrings(face: Face) -> None:
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


def _draw_glasses(face: Face) -> None:
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


def _draw_hat(face: Face) -> None:
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
    canvas.shade(ellipse(_lit(face) * 0.3 * width, top + 20, 14, 10), times(colour, 1.4), 6, 0.5)
    canvas.shade(ellipse(0, -20, width - 12, 4), times(face.skin, 0.5), 3, 0.5)
    if face.choice["style"] < 0.5:
        brim = [(0, -37), (width + 2, -31), (width + 20, -22), (width, -19), (0, -25)]
        canvas.fill(smooth(mirror(brim)), times(colour, 0.8))
    else:
        canvas.line(arc(0, -25, width, 9, 190, 350), times(colour, 0.65), 7.0)


def _photograph(face: Face) -> np.ndarray:
    """Add light from one side, exposure, blur if Blurry, and grain."""
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


def _lit(face: Face) -> int:
    """The side that the light comes from."""
    return 1 if np.cos(2 * np.pi * face.choice["light"]) > 0 else -1


def _outline(face: Face) -> np.ndarray:
    """The edge of skull and face."""
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
