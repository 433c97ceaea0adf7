"""Everything that has the colour of the hair: hair, eyebrows and beard."""

import numpy as np

from facegender.synthetic.drawing import SIDES, Colour, arc, between, ellipse, mirror, mix, smooth, times
from facegender.synthetic.head import face_outline
from facegender.synthetic.traits import Face

STUBBLE = (62, 62, 68)

Edges = tuple[np.ndarray, np.ndarray]


def hair_edges(face: Face) -> Edges:
    """Return the hair's inner and outer edge, from its left end over the head to its right end.

    Both are float (points, 2), with equally many points.
    """
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
    """Return the length from 0, above the ears, to 1, on the shoulders."""
    return float(np.clip((face.size["hair_length"] - 15) / 40, 0, 1))


def draw_hair_behind(face: Face, edges: Edges) -> None:
    """Draw the hair behind neck and head, in the shade."""
    if not face.has["Bald"]:
        face.canvas.fill(edges[1], times(face.hair, 0.55))


def draw_hair(face: Face, edges: Edges) -> None:
    """Draw the hair around the face, or the shine of a bald head."""
    canvas, hair, noise = face.canvas, face.hair, face.noise["hair"]
    if face.has["Bald"]:
        canvas.shade(ellipse(face.lit_side * 10, face.size["skull"] + 14, 13, 6), times(face.skin, 1.2), 4, 0.7)
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


def draw_brows(face: Face) -> None:
    """Draw both eyebrows."""
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


def draw_beard(face: Face) -> None:
    """Draw stubble, moustache, goatee, sideburns or a full beard."""
    canvas, has, width, chin, mouth = (
        face.canvas,
        face.has,
        face.size["face_width"],
        face.size["chin"],
        face.size["mouth"],
    )
    colour, lip = times(face.hair, 0.8), mouth - face.size["lip_height"] - 1.5
    full = not (has["No_Beard"] or has["5_o_Clock_Shadow"] or has["Goatee"] or has["Mustache"] or has["Sideburns"])
    edge = face_outline(face)
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
    """Draw single hairs, from the edge of the area some way towards its lower middle."""
    noise = face.noise["beard"]
    edge = area[noise.integers(len(area), size=count)]
    middle = np.array([0.0, area[:, 1].max() - 8])
    roots = middle + (edge - middle) * noise.uniform(0.5, 0.9, (count, 1))
    shines = noise.normal(1.0, 0.3, count)
    from_mouth = np.abs(roots - (0, face.size["mouth"])) / (face.size["mouth_width"], 10)
    free = (from_mouth > 1).any(axis=1) & (roots[:, 1] > face.size["mouth"] - 2)
    hairs = np.stack([roots, roots * (0.99, 1) + (0, 2)], axis=1)
    face.canvas.lines(hairs[free], [times(colour, shine) for shine in shines[free]], 0.5)
