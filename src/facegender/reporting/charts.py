"""Charts as SVG for a web page: without a background, in the page's own text colour."""

import hashlib
import io
import re
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.style
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from facegender.data.celeba import CLASSES

# A colour that nothing else uses, replaced by the page's own.
_TEXT = "#010203"
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
    "axes.prop_cycle": cycler(color=["#3b82f6", "#f59e0b"], linestyle=["-", "--"]),
}


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
        for name, hatch in zip(CLASSES, ("", "////"), strict=True):
            axes.bar(table["probability"], table[name], width=1 / len(table), alpha=0.6, label=name, hatch=hatch)
        axes.axvline(threshold, linestyle="--", linewidth=1, color="0.5", label="threshold")
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(0)
        # Above the axes, where there are no bars.
        figure.legend(loc="outside upper center", ncols=3)
        return _svg(figure)


def _blank(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.25)
    return figure, axes


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue().replace(_TEXT, "currentColor")
    # Inside a page an SVG is an element, without the XML header, and as wide as the page lets it be.
    drawing = drawing[drawing.index("<svg") :]
    # Several charts share a page, where every id must be unique.
    prefix = "c" + hashlib.sha256(drawing.encode()).hexdigest()[:8]
    drawing = re.sub(r' id="|href="#|url\(#', lambda found: found[0] + prefix, drawing)
    return re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', drawing, count=1)
