"""Two photographs exchange their colours along the cheapest plan between them.

The colours of a photograph are a measure on the cube of red, green and blue. They are gathered in cells of
that cube: each stands for the mean colour of its pixels and weighs as much as there are. Between the two
measures the transport problem is solved exactly. The plan moves every cell to the mean of where its mass
goes, and every pixel moves along with the cells around its colour.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import otfast as otf
from otfast import datasets, plot
from otfast._certificate import violation
from otfast._extras import import_extra
from otfast.demo.report import Part, Row

__all__ = ["run"]

_Array = NDArray[np.floating[Any]]

#: Cells around a colour that tell it where to go, and the distance within which they count alike.
_NEIGHBOURS = 16
_RADIUS = 1 / 64

#: Cells along an axis of the cube where palettes are drawn.
_DRAWN_CELLS = 6


def run(folder: Path, quick: bool) -> Part:
    """Exchange the colours of two photographs, and draw them before and after."""
    photographs = datasets.photographs()
    china, flower = (image[::4, ::4] if quick else image for image in photographs.values())
    cells = 16 if quick else 32
    x, y = Palette.of(china, cells), Palette.of(flower, cells)
    cost = otf.PointCloud(x.colours, y.colours)
    start = time.perf_counter()
    plan = otf.emd(x.weights, y.weights, cost)
    seconds = time.perf_counter() - start

    n, m = plan.shape
    gap = violation(plan, plan.a, plan.b, cost)
    towards_flower = plan.barycentric_projection(y.colours)
    towards_china = plan.apply_transpose(x.colours) / plan.b[:, None]
    pictures = [folder / "colour_transfer.png", folder / "colour_palettes.png"]
    _draw_photographs(
        pictures[0], china, recolour(china, x, towards_flower), flower, recolour(flower, y, towards_china)
    )
    _draw_palettes(pictures[1], china, flower)
    return Part(
        "Colour transfer: two photographs exchange their colours",
        [Row(f"{n} x {m} colours, exact plan of {plan.sparse_plan.nnz} atoms", plan.value, gap, seconds)],
        pictures,
    )


@dataclass(frozen=True)
class Palette:
    """The colours of an image: a measure on the unit cube."""

    colours: _Array
    """Mean colour of each cell that occurs, `(n, 3)`."""
    weights: _Array
    """Share of the pixels in each cell, `(n,)`."""

    @staticmethod
    def of(image: _Array, cells: int) -> Palette:
        """Gather the pixels of an image in cubes, `cells` of them along each axis."""
        pixels = image.reshape(-1, 3)
        coordinates = np.minimum((pixels * cells).astype(np.int64), cells - 1)
        _, cell, count = np.unique(
            np.ravel_multi_index(tuple(coordinates.T), (cells,) * 3), return_inverse=True, return_counts=True
        )
        colours = np.stack([np.bincount(cell, channel) for channel in pixels.T], axis=1) / count[:, None]
        return Palette(colours, count / count.sum())


def recolour(image: _Array, palette: Palette, moved: _Array) -> _Array:
    """Move every pixel of an image along with the colours near its own."""
    colours, pixel = np.unique(image.reshape(-1, 3), axis=0, return_inverse=True)
    neighbours = min(_NEIGHBOURS, len(palette.colours))
    distance, near = cKDTree(palette.colours).query(colours, range(1, neighbours + 1))
    share = 1.0 / (distance**2 + _RADIUS**2)
    share /= share.sum(axis=1, keepdims=True)
    displacement = np.einsum("pk,pkc->pc", share, (moved - palette.colours)[near])
    recoloured: _Array = np.clip(colours + displacement, 0.0, 1.0)[pixel.ravel()].reshape(image.shape)
    return recoloured


def _draw_photographs(path: Path, *images: _Array) -> None:
    figure = import_extra("matplotlib.figure", "demo").Figure(figsize=(12, 8.4), layout="constrained")
    axes = figure.subplots(2, 2)
    titles = ("before", "after: the colours of the flower", "before", "after: the colours of the temple")
    for ax, image, title in zip(axes.flat, images, titles, strict=True):
        ax.imshow(image)
        ax.set_title(title, fontsize=12, loc="left")
        ax.set_axis_off()
    figure.savefig(path, dpi=120)


def _draw_palettes(path: Path, china: _Array, flower: _Array) -> None:
    """Draw two palettes, coarse enough to see every colour, and the exact plan between them."""
    x, y = Palette.of(china, _DRAWN_CELLS), Palette.of(flower, _DRAWN_CELLS)
    plan = otf.emd(x.weights, y.weights, otf.PointCloud(x.colours, y.colours))
    figure = import_extra("matplotlib.figure", "demo").Figure(figsize=(10, 7), layout="constrained")
    ax = figure.add_subplot(facecolor="0.82")
    plot.map(
        plan,
        _seen_from_green(x.colours),
        _seen_from_green(y.colours),
        ax,
        color_x=x.colours,
        color_y=y.colours,
        segment_color="0.25",
        size=900.0,
    )
    ax.set_xlabel("cold to warm: red − blue")
    ax.set_ylabel("dark to bright: mean of red, green and blue")
    ax.set_title(
        f"Where colours go: {len(x.colours)} of the temple, {len(y.colours)} of the flower, areas by pixels",
        fontsize=12,
        loc="left",
    )
    figure.savefig(path, dpi=120)


def _seen_from_green(colours: _Array) -> _Array:
    return np.stack([colours[:, 0] - colours[:, 2], colours.mean(axis=1)], axis=1)
