"""Every pixel of two photographs takes its colour from an entropic plan.

What is solved: the entropic problem between the palettes of the photographs, the mean colours of the cells of
a fine division of the colour cube, weighted by pixels, with computed costs in single precision. What is
extended: its plan, to every colour that occurs among the pixels. The potential g of the palette (y, b) makes

    T(x) = Σ_j b_j exp((g_j − |x − y_j|²)/ε) y_j / Σ_j b_j exp((g_j − |x − y_j|²)/ε),

which is the barycentric projection of the plan where x is a colour of the other palette, and is smooth in
between: no pixel is rounded to its cell. The extended plan has the right first marginal; how far its second
one is from b is measured.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import otfast as otf
from otfast import datasets
from otfast._certificate import marginal_error
from otfast._extras import import_extra
from otfast.demo.colour_transfer import Palette
from otfast.demo.report import Part, Row

__all__ = ["run"]

_Array = NDArray[np.floating[Any]]

#: Temperatures, where the largest cost that can be is 3.
_EPSILONS = (1e-1, 1e-2, 3e-3)

#: Pairs of a pixel and a colour of the palette that are looked at together: they fit into the cache.
_BLOCK_SIZE = 1 << 17

#: Exponents, below the largest, of shares that are as good as zero, but not yet slow to compute with.
_NEGLIGIBLE = np.float32(-80.0)


def run(folder: Path, quick: bool) -> Part:
    """Exchange the colours of all pixels of two photographs at several temperatures, and draw them."""
    photographs = datasets.photographs()
    china, flower = (image[::4, ::4] if quick else image for image in photographs.values())
    cells = 16 if quick else 24
    x, y = (Palette.of(image, cells) for image in (china, flower))
    points_x, points_y = x.colours.astype(np.float32), y.colours.astype(np.float32)
    cost = otf.PointCloud(points_x, points_y)
    n, m = cost.shape
    pixels_china, pixels_flower = Pixels.of(china), Pixels.of(flower)
    rows, notes, changed = [], [], []
    for epsilon in _EPSILONS:
        start = time.perf_counter()
        result = otf.sinkhorn(x.weights, y.weights, cost, epsilon)
        seconds = time.perf_counter() - start
        f, g = result.potential_a, result.potential_b
        error = marginal_error(f, g, x.weights, y.weights, cost, epsilon)
        rows.append(Row(f"{n} x {m} colours, float32, eps = {epsilon:g}", result.value, error, seconds))
        start = time.perf_counter()
        towards_flower = EntropicMap(points_y, y.weights, g, epsilon)
        towards_china = EntropicMap(points_x, x.weights, f, epsilon)
        new_china, missed_flower = pixels_china.move(towards_flower)
        new_flower, missed_china = pixels_flower.move(towards_china)
        seconds = time.perf_counter() - start
        changed.append((new_china, new_flower))
        notes.append(
            f"eps = {epsilon:g}: extended to {len(china) * len(china[0]) + len(flower) * len(flower[0])} "
            f"pixels in {seconds:.1f} s; L1 error of the palettes that arrive: "
            f"{missed_flower:.3f} and {missed_china:.3f}"
        )
    picture = folder / "entropic_colours.png"
    _draw(picture, (china, flower), changed)
    return Part("Colour transfer by entropic plans, for every pixel", rows, [picture], notes)


@dataclass(frozen=True)
class EntropicMap:
    """The map T of an entropic plan, for any colours."""

    points: _Array
    """Where mass goes, `(m, 3)`."""
    weights: _Array
    """How much arrives at each, `(m,)`, all positive."""
    potential: _Array
    """The potential of these points, `(m,)`."""
    epsilon: float

    def __call__(self, colours: _Array, mass: _Array) -> tuple[_Array, _Array]:
        """Return the images of colours `(k, 3)` of mass `(k,)`, and the mass that arrives at each point."""
        y = self.points.astype(np.float32)
        # |x|² is the same for all points, and drops out.
        bias = (self.potential - np.einsum("mc,mc->m", y, y)) / self.epsilon + np.log(self.weights)
        exponents = np.vstack([2.0 / self.epsilon * y.T, bias]).astype(np.float32)
        images, arrived = np.empty((len(colours), 3)), np.zeros(len(y))
        step = max(1, _BLOCK_SIZE // len(y))
        for start in range(0, len(colours), step):
            here = slice(start, start + step)
            x = np.column_stack([colours[here], np.ones(len(colours[here]))]).astype(np.float32)
            shares = x @ exponents
            shares -= shares.max(axis=1, keepdims=True)
            np.exp(np.maximum(shares, _NEGLIGIBLE, out=shares), out=shares)
            totals = shares.sum(axis=1)
            images[here] = (shares @ y) / totals[:, None]
            arrived += (mass[here] / totals).astype(np.float32) @ shares
        return images, arrived


@dataclass(frozen=True)
class Pixels:
    """All pixels of an image; those of one colour go together."""

    colours: _Array
    """The colours that occur, `(k, 3)`."""
    mass: _Array
    """Share of the pixels of each, `(k,)`."""
    index: NDArray[np.intp]
    """Which of them every pixel has, of the shape of the image."""

    @staticmethod
    def of(image: _Array) -> Pixels:
        """Collect the colours of an image."""
        colours, index, count = np.unique(
            image.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
        )
        return Pixels(colours, count / count.sum(), index.reshape(image.shape[:2]))

    def move(self, entropic_map: EntropicMap) -> tuple[_Array, float]:
        """Map every pixel, and return the image and the L1 error of what arrives at the other palette."""
        images, arrived = entropic_map(self.colours, self.mass)
        return images[self.index], float(np.abs(arrived - entropic_map.weights).sum())


def _draw(path: Path, before: tuple[_Array, _Array], after: list[tuple[_Array, _Array]]) -> None:
    columns = 1 + len(after)
    figure = import_extra("matplotlib.figure", "demo").Figure(
        figsize=(5.4 * columns, 7.8), layout="constrained"
    )
    axes = figure.subplots(2, columns)
    titles = ["before", *(f"entropic map, ε = {epsilon:g}" for epsilon in _EPSILONS)]
    for column, title, images in zip(axes.T, titles, [before, *after], strict=True):
        column[0].set_title(title, fontsize=15, loc="left")
        for ax, image in zip(column, images, strict=True):
            ax.imshow(np.clip(image, 0.0, 1.0), interpolation="none")
            ax.set_axis_off()
    figure.savefig(path, dpi=120)
