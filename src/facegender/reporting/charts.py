"""Charts as SVG for a web page: without a background, in the page's own colours."""

import hashlib
import io
import re
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.style
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from facegender.data.celeba import CLASSES

_COLOURS = {"#010203": "currentColor", "#010204": "var(--first)", "#010205": "var(--second)"}
"""Colours that nothing else uses, and the page's own that replace them."""
_TEXT, _FIRST, _SECOND = _COLOURS
_STYLE = {
    "text.color": _TEXT,
    "axes.edgecolor": _TEXT,
    "axes.labelcolor": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "legend.framealpha": 0,
    "svg.fonttype": "none",
    # The same ids in every run.
    "svg.hashsalt": "facegender",
    "font.family": "sans-serif",
    # Still readable where the page is narrow.
    "font.size": 12,
    "axes.prop_cycle": cycler(color=[_FIRST, _SECOND], linestyle=["-", "--"]),
}

_LOGARITHMIC_FROM = 1000
"""Images from which a histogram's counts are on a logarithmic scale, so that bins with few images remain visible."""


class Line(NamedTuple):
    """A named curve."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def line_chart(
    lines: Sequence[Line], x_label: str, y_label: str, unit_square: bool = False, diagonal: bool = False
) -> str:
    """Draw curves and return the SVG.

    Args:
        lines: the curves; more than one get a legend.
        x_label: what x is.
        y_label: what y is.
        unit_square: both axes go from 0 to 1; otherwise x counts in whole numbers.
        diagonal: the line from (0, 0) to (1, 1) is drawn too, dashed.
    """
    with matplotlib.style.context(["default", _STYLE]):
        figure, axes = _blank(x_label, y_label)
        if diagonal:
            axes.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color="0.5")
        for line in lines:
            axes.plot(line.x, line.y, label=line.name, marker="o" if len(line.x) <= 20 else None, markersize=4)
        if unit_square:
            axes.set_xlim(-0.02, 1.02)
            axes.set_ylim(-0.02, 1.02)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(lines) > 1:
            axes.legend()
        return _svg(figure)


def histogram_chart(table: pd.DataFrame, threshold: float) -> str:
    """Draw the images of each class by P(Male), with a line at the threshold, and return the SVG.

    Args:
        table: as `facegender.evaluation.curves.histogram_table` returns it.
        threshold: an image is predicted Male if its P(Male) is at least this.
    """
    with matplotlib.style.context(["default", _STYLE]):
        figure, axes = _blank("P(Male)", "images")
        for name, colour, hatch in zip(CLASSES, (_FIRST, _SECOND), ("", "////"), strict=True):
            rows = table[table["label"] == name]
            axes.bar(
                rows["probability"],
                rows["images"],
                width=1 / len(rows),
                color=colour,
                alpha=0.5,
                edgecolor=colour,
                hatch=hatch,
                label=name,
            )
        axes.axvline(threshold, linestyle="--", linewidth=1, color="0.5", label="threshold")
        if is_logarithmic(table):
            axes.set_yscale("symlog", linthresh=1)
        else:
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(0)
        # Above the axes, where there are no bars.
        figure.legend(loc="outside upper center", ncols=3)
        return _svg(figure)


def is_logarithmic(table: pd.DataFrame) -> bool:
    """Return whether a histogram has so many images that its counts are drawn on a logarithmic scale."""
    return int(table["images"].sum()) >= _LOGARITHMIC_FROM


def correlation_chart(names: Sequence[str], values: ArrayLike) -> str:
    """Draw a square matrix as cells, the more opaque the further from 0, and return the SVG.

    Args:
        names: (n,) names of the rows, and of the columns in the same order.
        values: (n, n) numbers from -1 to 1.
    """
    matrix = np.asarray(values, np.float64)
    cells = np.empty((*matrix.shape, 4))
    # One hue for each sign, which stand out on light and dark pages alike; an image has no CSS colours.
    cells[...] = np.where(matrix[..., None] > 0, to_rgba("#e0523f"), to_rgba("#3b82f6"))
    cells[..., 3] = np.abs(matrix)
    with matplotlib.style.context(["default", _STYLE]):
        side = 2.5 + 0.2 * len(names)
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        axes.imshow(cells, interpolation="none")
        axes.set_xticks(range(len(names)), labels=list(names), rotation=90)
        axes.set_yticks(range(len(names)), labels=list(names))
        return _svg(figure)


def _blank(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.25)
    return figure, axes


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    for colour, own in _COLOURS.items():
        drawing = drawing.replace(colour, own)
    # Inside a page an SVG is an element, without the XML header, and as wide as the page lets it be.
    drawing = drawing[drawing.index("<svg") :]
    # Several charts share a page, where every id must be unique.
    prefix = "c" + hashlib.sha256(drawing.encode()).hexdigest()[:8]
    drawing = re.sub(r' id="|href="#|url\(#', lambda found: found[0] + prefix, drawing)
    return re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', drawing, count=1)
