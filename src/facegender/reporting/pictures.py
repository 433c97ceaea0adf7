"""Pictures as PNG files. The same content gives the same bytes, and no state is kept between calls."""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray

from facegender.data.celeba import CLASSES, HEIGHT, WIDTH
from facegender.files import whole_file

_DPI = 100
_CAPTION_CHARACTERS = 36
_TITLE_CHARACTERS_PER_INCH = 11

_SLICES = 20
"""Slices of a class in one picture, at most."""

# A user's matplotlibrc must not change the bytes.
_default_style = matplotlib.style.context("default")


def _save(path: str | Path, figure: Figure) -> None:
    with whole_file(path) as partial:
        # Otherwise the file contains matplotlib's version.
        figure.savefig(partial, format="png", dpi=_DPI, metadata={"Software": None})


@_default_style
def bar_chart(
    path: str | Path, names: Collection[str], values: Collection[float], title: str, value_label: str
) -> None:
    """Draw a horizontal bar for each name, the first on top, each with its value beside it.

    Args:
        path: the PNG file.
        names: (n,) names of the bars.
        values: (n,) lengths of the bars, not negative.
        title: above the picture.
        value_label: meaning and unit of the values.
    """
    figure = Figure(figsize=(8, 1.2 + 0.24 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(list(names), list(values))
    axes.bar_label(
        bars,
        labels=[f"{value:,.0f}" if value == round(value) else f"{value:.3f}" for value in values],
        padding=3,
        fontsize=8,
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.1)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_title(title)
    axes.set_xlabel(value_label)
    _save(path, figure)


@_default_style
def interval_chart(path: str | Path, slices: pd.DataFrame, whole: Mapping[str, float], title: str) -> None:
    """Draw the recall of each class on slices as dots on their 95% intervals, beside a line for all images.

    Args:
        path: the PNG file.
        slices: columns class, slice, images, recall, low, high and beyond, as `facegender.evaluation.slices` describes
            them. Of each class the first ones are drawn; those that stand out are red.
        whole: the recall on all images, by class.
        title: above the picture.
    """
    shown = [slices[slices["class"] == name].head(_SLICES) for name in CLASSES]
    most = max(map(len, shown))
    figure = Figure(figsize=(11, 2 + 0.22 * most), layout="constrained")
    figure.suptitle(title)
    for axes, name, rows in zip(figure.subplots(1, 2, sharex=True), CLASSES, shown, strict=True):
        if name in whole:
            axes.axvline(whole[name], color="0.5", linewidth=1)
        colours = ["C3" if beyond > 0 else "C0" for beyond in rows["beyond"]]
        places = range(len(rows))
        axes.hlines(places, rows["low"], rows["high"], colours)
        axes.scatter(rows["recall"], places, s=16, c=colours, zorder=3)
        labels = [
            f"{slice_name} ({images:,})" for slice_name, images in zip(rows["slice"], rows["images"], strict=True)
        ]
        axes.set_yticks(places, labels=labels, fontsize=8)
        axes.set_ylim(max(most, 1) - 0.5, -0.5)
        axes.grid(axis="x", alpha=0.4)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel(f"recall of {name}, 95% interval" if len(rows) else f"{name}: no slice is large enough")
    _save(path, figure)


@_default_style
def heat_map(path: str | Path, names: Collection[str], values: ArrayLike, title: str) -> None:
    """Draw a square matrix of numbers from -1 (blue) through 0 (white) to 1 (red).

    Args:
        path: the PNG file.
        names: (n,) names of the rows, and of the columns in the same order.
        values: (n, n) numbers from -1 to 1.
        title: above the picture.
    """
    side = 3 + 0.25 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(np.asarray(values, dtype=np.float64), cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(len(names)), labels=list(names), rotation=90, fontsize=9)
    axes.set_yticks(range(len(names)), labels=list(names), fontsize=9)
    axes.set_title(title)
    figure.colorbar(picture, ax=axes, shrink=0.8)
    _save(path, figure)


@_default_style
def image_grid(
    path: str | Path, images: Sequence[NDArray[np.uint8]], captions: Sequence[str], title: str, columns: int = 6
) -> None:
    """Draw images in rows from left to right, each with its caption below it.

    Args:
        path: the PNG file.
        images: (n,) RGB images (height, width, 3), uint8, each of any size.
        captions: (n,) texts; long lines are wrapped.
        title: above the picture; wrapped if it is long.
        columns: images in a row.
    """
    texts = [_wrap(caption) for caption in captions]
    caption_lines = max((text.count("\n") + 1 for text in texts), default=0)
    columns = max(1, min(columns, len(images)))
    rows = -(-len(images) // columns)
    # In inches. An aligned CelebA image is shown at its own size in pixels.
    image_width, image_height = WIDTH / _DPI, HEIGHT / _DPI
    cell_width, cell_height = image_width + 0.3, image_height + 0.3 + 0.125 * caption_lines
    width = max(columns * cell_width, 5.0)
    title = textwrap.fill(title, int(_TITLE_CHARACTERS_PER_INCH * width))
    title_height = 0.5 + 0.2 * title.count("\n")
    height = title_height + rows * cell_height
    figure = Figure(figsize=(width, height))
    figure.text(0.5, 1 - title_height / 2 / height, title, ha="center", va="center", fontsize=12)
    for cell, (image, text) in enumerate(zip(images, texts, strict=True)):
        left = (cell % columns) * cell_width + 0.15
        bottom = height - title_height - (cell // columns) * cell_height - image_height
        box = (left / width, bottom / height, image_width / width, image_height / height)
        axes = figure.add_axes(box, anchor="S", frameon=False, xticks=[], yticks=[])
        axes.imshow(image)
        axes.set_xlabel(text, fontsize=7)
    _save(path, figure)


def _wrap(caption: str) -> str:
    return "\n".join(textwrap.fill(line, _CAPTION_CHARACTERS) for line in caption.splitlines())
