"""A photograph is graded: its colours become the nearest ones among the barycenters of a few looks.

A look is how the colours of a photograph are distributed. Three looks of one photograph, by day, at sunset
and at dusk, have barycenters that are looks between them: a Wasserstein simplex. A photograph between the
three is found where it was made. The colours of another photograph are projected on the simplex, and then
moved there by the cheapest plan.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import otfast as otf
from otfast import datasets, plot
from otfast._certificate import violation
from otfast._extras import import_extra
from otfast.demo.colour_transfer import Palette, recolour
from otfast.demo.report import Part, Row

__all__ = ["TRUE_WEIGHTS", "histogram", "looks", "run"]

_Array = NDArray[np.floating[Any]]

#: How bright red, green and blue are in each look, as shares.
_GAINS = {
    "day": (1.0, 1.0, 1.0),
    "sunset": (1.0, 0.62, 0.36),
    "dusk": (0.4, 0.5, 0.85),
}

#: The coordinates of the photograph whose look is known.
TRUE_WEIGHTS = np.array([0.25, 0.45, 0.3])

#: Cells along an axis of the cube of colours, the temperature and the number of projections.
_CELLS = 16
_EPSILON = 6e-3
_N_ITER = 20

#: Colours of less mass than this share are no target of the plan: there are thousands of them.
_LEAST_SHARE = 1e-5


def run(folder: Path, quick: bool) -> Part:
    """Find two photographs in the simplex of three looks, grade one of them, and draw all."""
    photographs = datasets.photographs()
    china, flower = (image[:: 4 if quick else 2, :: 4 if quick else 2] for image in photographs.values())
    cells = 12 if quick else _CELLS
    database = looks(china)
    measures = np.stack([histogram(image, cells) for image in database.values()])
    grid = otf.Grid(*3 * [(np.arange(cells) + 0.5) / cells])
    between = china * (TRUE_WEIGHTS @ np.array(list(_GAINS.values())))
    rows, found = [], []
    # Colours that are elsewhere than those of the looks are compared by how far they are.
    for name, image, loss in (
        ("a look between three", between, "sqeuclidean"),
        ("the flower", flower, "wasserstein"),
    ):
        start = time.perf_counter()
        at = otf.barycenter.coordinates(
            histogram(image, cells), measures, grid, epsilon=_EPSILON, n_iter=_N_ITER, loss=loss
        )
        seconds = time.perf_counter() - start
        rows.append(Row(f"coordinates of {name}, eps = {_EPSILON:g}", at.loss, at.error, seconds))
        found.append(at)

    palette = Palette.of(flower, cells)
    centres = np.stack(np.meshgrid(*3 * [(np.arange(cells) + 0.5) / cells], indexing="ij"), -1).reshape(-1, 3)
    used = found[1].fit > _LEAST_SHARE * found[1].fit.max()
    target = found[1].fit[used] / found[1].fit[used].sum()
    cost = otf.PointCloud(palette.colours, centres[used])
    start = time.perf_counter()
    plan = otf.emd(palette.weights, target, cost)
    seconds = time.perf_counter() - start
    gap = violation(plan, plan.a, plan.b, cost)
    rows.append(Row(f"{plan.shape[0]} x {plan.shape[1]} colours, exact plan", plan.value, gap, seconds))
    graded = recolour(flower, palette, plan.barycentric_projection(centres[used]))
    picture = folder / "colour_grading.png"
    _draw(picture, database, between, flower, graded, [at.weights for at in found])
    names = ", ".join(_GAINS)
    notes = [
        f"coordinates among {names}: "
        + "; ".join(
            f"{name} {np.array2string(weights.round(3) + 0.0, separator=', ')}"
            for name, weights in (
                ("true", TRUE_WEIGHTS),
                ("found", found[0].weights),
                ("the flower", found[1].weights),
            )
        )
    ]
    return Part("Colour grading: coordinates among three looks", rows, [picture], notes)


def looks(image: _Array) -> dict[str, _Array]:
    """Return an image in every look.

    A look multiplies red, green and blue. Such maps are gradients of convex functions and commute, so that
    the barycenter of looks is the look of the mean gains, exactly.
    """
    return {name: image * np.array(gains) for name, gains in _GAINS.items()}


def histogram(image: _Array, cells: int) -> _Array:
    """Share out the pixels of an image between the centres of the cells around them, `(cells³,)`, of total 1.

    The mean is kept, but at the faces of the cube, where there is no cell beyond.
    """
    at = np.clip(image.reshape(-1, 3) * cells - 0.5, 0.0, cells - 1.0)
    low = np.minimum(at.astype(np.int64), cells - 2)
    share = at - low
    weights = np.zeros(cells**3)
    for corner in np.ndindex(2, 2, 2):
        part = np.where(corner, share, 1.0 - share).prod(axis=1)
        cell = np.ravel_multi_index(tuple((low + corner).T), (cells,) * 3)
        weights += np.bincount(cell, part, cells**3)
    weights /= weights.sum()
    return weights


def _draw(
    path: Path,
    database: dict[str, _Array],
    between: _Array,
    flower: _Array,
    graded: _Array,
    found: list[_Array],
) -> None:
    figure = import_extra("matplotlib.figure", "demo").Figure(figsize=(15, 6.5), layout="constrained")
    figure.suptitle("A photograph is graded to the nearest look between three", fontsize=15)
    axes = figure.subplots(2, 4)
    shown = [*((f"the temple, {name}", image) for name, image in database.items())]
    shown.append(("a look between the three", between))
    for ax, (title, image) in zip(axes[0], shown, strict=True):
        ax.imshow(np.clip(image, 0.0, 1.0))
        ax.set_title(title, fontsize=12, loc="left")
        ax.set_axis_off()
    for ax, image, title in ((axes[1, 0], flower, "the flower"), (axes[1, 1], graded, "the flower, graded")):
        ax.imshow(image)
        ax.set_title(title, fontsize=12, loc="left")
        ax.set_axis_off()
    names = list(database)
    plot.simplex(TRUE_WEIGHTS[None], names, axes[1, 2], color="0.3", size=220.0, marker="+")
    plot.simplex(found[0][None], None, axes[1, 2], color=plot.SECOND)
    axes[1, 2].set_title("the look between: made (+) and found", fontsize=12, loc="left")
    plot.simplex(found[1][None], names, axes[1, 3], color=plot.FIRST, size=60.0)
    axes[1, 3].set_title("the flower among the looks", fontsize=12, loc="left")
    figure.savefig(path, dpi=120)
