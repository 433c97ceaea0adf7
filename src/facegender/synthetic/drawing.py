"""Drawing of smooth shapes in the coordinates of a head that may be turned, tilted and moved.

Lengths are pixels of the final image, measured from the point between the eyes: right and down are positive.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facegender.data.celeba import HEIGHT, WIDTH

SCALE = 2
"""How much larger the canvas is than the image; it is averaged down at the end."""

SUBPIXEL_BITS = 4

HEAD_RADIUS = 56.0
"""Beyond this distance from the axis nothing moves when the head turns, in pixels."""

NEARNESS_OF_EYES = 0.87
"""How far the eyes would move when the head turns, as a share of the nose's movement.

It is subtracted from every movement, so that the eyes stay in place.
"""

SIDES = (-1, 1)
"""Signs of left and right in the image."""

Colour = tuple[float, float, float]
Points = np.ndarray | Sequence[tuple[float, float]]
"""Float (points, 2): right and down."""

WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Canvas:
    """Pixels, and the pose of the head.

    Attributes:
        pixels: uint8 RGB, (218, 178, 3) times SCALE.
        pose: float (3, 2), from head_pose; rotates, scales and moves rows of (right, down, 1).
        turn: distance of the nose from the middle of the head, in pixels to the right.
    """

    pixels: np.ndarray
    pose: np.ndarray
    turn: float

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill an area."""
        cv2.fillPoly(self.pixels, [self._project(points)], colour, cv2.LINE_AA, SUBPIXEL_BITS)

    def line(self, points: Points, colour: Colour, thickness: float) -> None:
        """Draw an open line."""
        self.lines(np.asarray(points, float)[None], [colour], thickness)

    def lines(self, lines: np.ndarray, colours: Sequence[Colour], thickness: float) -> None:
        """Draw open lines: float (lines, points, 2)."""
        pixels = max(1, round(thickness * SCALE))
        placed = self._project(lines.reshape(-1, 2)).reshape(lines.shape)
        for line, colour in zip(placed, colours, strict=True):
            cv2.polylines(self.pixels, [line], False, colour, pixels, cv2.LINE_AA, SUBPIXEL_BITS)

    def shade(self, points: Points, colour: Colour, soft: float, opacity: float) -> None:
        """Blend in an area with a blurred edge; `soft` is the blur's standard deviation in pixels."""
        placed = self._project(points)
        margin = int(2.5 * soft * SCALE) + 2
        x, y, width, height = cv2.boundingRect(placed)
        left, top = max((x >> SUBPIXEL_BITS) - margin, 0), max((y >> SUBPIXEL_BITS) - margin, 0)
        right, bottom = ((x + width) >> SUBPIXEL_BITS) + margin, ((y + height) >> SUBPIXEL_BITS) + margin
        crop = self.pixels[top : max(bottom, 0), left : max(right, 0)]
        if not crop.size:
            return
        area = np.zeros(crop.shape[:2], np.float32)
        cv2.fillPoly(area, [placed - (left << SUBPIXEL_BITS, top << SUBPIXEL_BITS)], opacity, cv2.LINE_8, SUBPIXEL_BITS)
        # Two box filters of this side have the variance of the Gaussian, at a fraction of its time.
        side = 2 * round(math.sqrt(6) * soft * SCALE / 2) + 1
        mask = cv2.blur(cv2.blur(area, (side, side)), (side, side))
        paint = cv2.rectangle(np.empty_like(crop), (0, 0), crop.shape[1::-1], colour, cv2.FILLED)
        cv2.blendLinear(crop, paint, 1 - mask, mask, crop)

    def image(self) -> np.ndarray:
        """Return the canvas at the size of the image: uint8 (218, 178, 3)."""
        return cv2.resize(self.pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)

    def _project(self, points: Points) -> np.ndarray:
        """Turn, roll and move points; int32 with SUBPIXEL_BITS fractional bits."""
        points = np.array(points, float)
        right = points[:, 0]
        right += self.turn * (np.maximum(1 - (right / HEAD_RADIUS) ** 2, 0) - NEARNESS_OF_EYES)
        placed = points @ self.pose[:2] + self.pose[2]
        return np.rint(placed).astype(np.int32)


def head_pose(right: float, down: float, size: float, roll: float) -> np.ndarray:
    """Return the pose of a head whose eyes' centre is at (right, down) in the image; `roll` in radians, clockwise."""
    cosine, sine = size * math.cos(roll), size * math.sin(roll)
    return np.array([(cosine, sine), (-sine, cosine), (right, down)]) * (SCALE << SUBPIXEL_BITS)


def pick(colours: Sequence[Colour], choice: float) -> Colour:
    """Return one of the colours, for a `choice` in [0, 1)."""
    return colours[int(choice * len(colours))]


def times(colour: Colour, factor: float) -> Colour:
    """Return a lighter or darker colour."""
    red, green, blue = colour
    return min(red * factor, 255.0), min(green * factor, 255.0), min(blue * factor, 255.0)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return a colour between two; `share` is that of the second."""
    red, green, blue = (a * (1 - share) + b * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def mirror(half: Points) -> np.ndarray:
    """Return a closed symmetrical outline from its right half, whose first and last points lie on the axis."""
    points = np.asarray(half, float)
    return np.concatenate([points, points[-2:0:-1] * (-1, 1)])


# Catmull-Rom: the weights of four neighbouring points at six places between the middle two.
_PLACES = np.arange(6)[:, None] / 6.0
_WEIGHTS = 0.5 * np.hstack(
    [
        -_PLACES + 2 * _PLACES**2 - _PLACES**3,
        2 - 5 * _PLACES**2 + 3 * _PLACES**3,
        _PLACES + 4 * _PLACES**2 - 3 * _PLACES**3,
        -(_PLACES**2) + _PLACES**3,
    ]
)


def smooth(points: Points, closed: bool = True) -> np.ndarray:
    """Return a curve through the points."""
    points = np.asarray(points, float)
    before, after = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    around = np.concatenate([before, points, after])
    neighbours = np.stack([around[start : len(around) - 3 + start] for start in range(4)])
    curve = np.einsum("pk,knd->npd", _WEIGHTS, neighbours).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


_ALONG = np.linspace(0, 1, 24)


def arc(x: float, y: float, width: float, height: float, start: float, end: float) -> np.ndarray:
    """Return part of an ellipse with these half-axes; angles in degrees, clockwise from the right."""
    angle = math.radians(start) + math.radians(end - start) * _ALONG
    return np.column_stack([x + width * np.cos(angle), y + height * np.sin(angle)])


_CIRCLE = arc(0, 0, 1, 1, 0, 345)


def ellipse(x: float, y: float, width: float, height: float) -> np.ndarray:
    """Return an ellipse with these half-axes."""
    return _CIRCLE * (width, height) + (x, y)


def between(x: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Return the area between two curves over the same x."""
    return np.concatenate([np.column_stack([x, upper]), np.column_stack([x, lower])[::-1]])


def ribbon(line: np.ndarray, thickness: float) -> np.ndarray:
    """Return the area along a line."""
    return np.concatenate([line - (0, thickness / 2), line[::-1] + (0, thickness / 2)])
