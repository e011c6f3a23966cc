"""Barycenters that turn shapes into each other: on the line, of four silhouettes, of two, and of thirty.

All weights of a picture are solved in one call. On the line the answer is exact: the quantile functions are
averaged. On images it is that of Sinkhorn divergences, which do not blur, or of entropic transport, which
does, and which a bound on the entropy sharpens again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import otfast as otf
from otfast import datasets, plot
from otfast._extras import import_extra
from otfast.demo.report import Part, Row

__all__ = ["bilinear", "run"]

_Array = NDArray[np.floating[Any]]

#: Pictures along a side of a grid between four corners, and along a line between two.
_SIDE = 5
_STEPS = 7

#: Temperatures, where images have sides of length 1, and the error at which to stop.
_GRID_EPSILON = 1e-3
_PATH_EPSILON = 2e-3
_TOLERANCE = 5e-3

#: The corners of the grid of shapes, row by row.
_CORNERS = ("cat", "two disks", "cross", "clover")

#: Mixtures of two Gaussians at the corners of the grid on the line: means, deviations and weights.
_MIXTURES = (
    ((0.5, 0.5), (0.06, 0.06), (0.5, 0.5)),
    ((0.25, 0.8), (0.05, 0.04), (0.7, 0.3)),
    ((0.2, 0.6), (0.03, 0.09), (0.35, 0.65)),
    ((0.3, 0.75), (0.09, 0.03), (0.5, 0.5)),
)


def run(folder: Path, quick: bool) -> Part:
    """Compute the barycenters of all four families, and draw them."""
    size = 32 if quick else 56
    pictures = [folder / f"barycenter_{name}.png" for name in ("line", "shapes", "sharpened", "ellipses")]
    parts = (
        _grid_on_the_line(pictures[0]),
        _grid_of_shapes(pictures[1], size),
        _sharpened_path(pictures[2], size),
        _nested_ellipses(pictures[3], 32 if quick else 48),
    )
    return Part(
        "Barycenters between shapes: grids, paths and means",
        [row for rows, _ in parts for row in rows],
        pictures,
        [note for _, notes in parts for note in notes],
    )


def bilinear(side: int = _SIDE) -> _Array:
    """Return the weights of four corners in a grid, `(side², 4)`, row by row."""
    s, t = np.meshgrid(*2 * [np.linspace(0.0, 1.0, side)], indexing="ij")
    weights: _Array = np.stack([(1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t], axis=-1)
    return weights.reshape(-1, 4)


@dataclass(frozen=True)
class Line:
    """Barycenters on the line, as densities between the points of averaged quantiles."""

    points: _Array
    """`(side, side, n)`."""
    densities: _Array
    """`(side, side, n)`."""
    truth: _Array
    """The densities of the inputs at the points of the corners, `(4, n)`."""
    value: float
    """The mean over the grid."""
    gap: float
    """The largest relative difference between a value and the sum of λ_k W₂² to the inputs."""

    @property
    def corners(self) -> _Array:
        """The densities at the corners, `(4, n)`."""
        return self.densities[[0, 0, -1, -1], [0, -1, 0, -1]]


def on_the_line(levels: int = 2000, side: int = _SIDE) -> Line:
    """Average the quantile functions of four mixtures, at so many levels, with the weights of a grid."""
    fine = np.linspace(0.0, 1.0, 20_001)
    inputs = []
    for means, deviations, shares in _MIXTURES:
        z = (fine[:, None] - means) / np.array(deviations)
        density = (np.exp(-0.5 * z**2) / (np.sqrt(2.0 * np.pi) * np.array(deviations))) @ shares
        distribution = np.cumsum(density)
        inputs.append((density, distribution / distribution[-1]))
    at = (np.arange(levels) + 0.5) / levels
    samples = [np.interp(at, distribution, fine) for _, distribution in inputs]
    weights = bilinear(side)
    grid = otf.barycenter.quantile(samples, weights=weights)
    assert isinstance(grid, list)
    gaps = []
    for lambdas, measure in zip(weights, grid, strict=True):
        squares = [otf.wasserstein_1d(measure.points, sample, p=2) ** 2 for sample in samples]
        gaps.append(abs(lambdas @ squares - measure.value) / max(squares))
    points = np.stack([measure.points for measure in grid]).reshape(side, side, levels)
    # Between two neighbours there is the mass of one.
    middles = (points[..., 1:] + points[..., :-1]) / 2.0
    corners = middles[[0, 0, -1, -1], [0, -1, 0, -1]]
    return Line(
        middles,
        1.0 / (levels * np.diff(points, axis=-1)),
        np.stack([np.interp(x, fine, density) for x, (density, _) in zip(corners, inputs, strict=True)]),
        float(np.mean([measure.value for measure in grid])),
        float(max(gaps)),
    )


def _grid_on_the_line(path: Path) -> tuple[list[Row], list[str]]:
    start = time.perf_counter()
    line = on_the_line()
    seconds = time.perf_counter() - start
    error = float(np.abs(line.corners - line.truth).max() / line.truth.max())
    figure = _figure(8.0, 7.4, "Barycenters on the line: averages of quantile functions")
    tints = np.clip(bilinear() @ _corner_colours(), 0.0, 1.0)
    plot.barycenter_grid(line.densities, figure.add_subplot(), points=line.points, color=tints)
    figure.savefig(path, dpi=120)
    note = f"On the line the corners are the four inputs, up to {error:.1e} of the highest density."
    return [Row(f"{_SIDE**2} averages of quantiles", line.value, line.gap, seconds)], [note]


def _grid_of_shapes(path: Path, size: int) -> tuple[list[Row], list[str]]:
    silhouettes = datasets.silhouettes(size)
    corners = np.stack([silhouettes[name] for name in _CORNERS])
    start = time.perf_counter()
    grid = _solve(corners, bilinear(), _GRID_EPSILON, debiased=True)
    seconds = time.perf_counter() - start
    images = np.stack([found.weights for found in grid]).reshape(_SIDE, _SIDE, size, size)
    error = 0.5 * np.abs(images[[0, 0, -1, -1], [0, -1, 0, -1]] - corners).sum((1, 2)).max()
    figure = _figure(8.6, 9.0, f"{_SIDE**2} barycenters of four silhouettes, in one call")
    plot.barycenter_grid(images, figure.add_subplot(), clamp=0.6)
    figure.savefig(path, dpi=120)
    note = f"Of the shapes at the corners, {error:.1%} of the mass is elsewhere than in the inputs."
    return [_row(f"{_SIDE**2} barycenters, {size} x {size}", grid, _GRID_EPSILON, seconds)], [note]


def _sharpened_path(path: Path, size: int) -> tuple[list[Row], list[str]]:
    silhouettes = datasets.silhouettes(size)
    ends = np.stack([silhouettes["ring"], silhouettes["two disks"]])
    bound = float(max(_entropy(end) for end in ends))
    times = np.linspace(0.0, 1.0, _STEPS)
    weights = np.stack([1.0 - times, times], axis=1)
    ways: dict[str, dict[str, Any]] = {
        "entropic": {},
        "entropy bounded": {"entropy_bound": bound},
        "debiased": {"debiased": True},
    }
    rows, images = [], []
    for name, options in ways.items():
        start = time.perf_counter()
        found = _solve(ends, weights, _PATH_EPSILON, **options)
        seconds = time.perf_counter() - start
        rows.append(_row(f"path of {_STEPS}, {name}", found, _PATH_EPSILON, seconds))
        images.append([one.weights for one in found])
    stack = np.array(images)
    figure = _figure(12.0, 6.0, "From a ring to two disks: blurred, sharpened, debiased")
    ax = plot.barycenter_grid(stack, figure.add_subplot(), clamp=0.7)
    for child, name in zip(ax.child_axes[::_STEPS], ways, strict=True):
        child.set_ylabel(name, fontsize=12)
    figure.savefig(path, dpi=120)
    areas = [np.exp(_entropy(image)) for image in stack[:, _STEPS // 2]]
    note = (
        f"Half way the mass is on {areas[0]:.0f} pixels, with the bound on {areas[1]:.0f}, debiased on "
        f"{areas[2]:.0f}; the bound is the larger of the two ends, {np.exp(bound):.0f}."
    )
    return rows, [note]


def _nested_ellipses(path: Path, size: int) -> tuple[list[Row], list[str]]:
    images = datasets.nested_ellipses(30, size=size)
    start = time.perf_counter()
    found = _solve(images, np.full((1, 30), 1.0 / 30.0), _GRID_EPSILON, debiased=True)
    seconds = time.perf_counter() - start
    mean, barycenter = images.mean(axis=0), found[0].weights
    figure = _figure(12.0, 6.0, "Thirty pairs of nested ellipses, their mean and their barycenter")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.1, 1.0, 1.0))
    plot.barycenter_grid(images.reshape(6, 5, size, size), left)
    left.set(box_aspect=1.2)
    for ax, image, title in ((middle, mean, "mean of pixels"), (right, barycenter, "Wasserstein barycenter")):
        plot.barycenter_grid(image[None, None], ax, clamp=0.95)
        ax.set(box_aspect=1.0)
        ax.set_title(title, fontsize=13)
    figure.savefig(path, dpi=120)
    areas = [np.exp(_entropy(image)) for image in (images[0], mean, barycenter)]
    note = (
        f"The first pair of ellipses is on {areas[0]:.0f} pixels, the mean on {areas[1]:.0f}, the barycenter "
        f"on {areas[2]:.0f}."
    )
    return [_row("30 pairs of ellipses", found, _GRID_EPSILON, seconds)], [note]


def _solve(
    images: _Array, weights: _Array, epsilon: float, **options: Any
) -> list[otf.barycenter.Barycenter]:
    found = otf.barycenter.convolutional(images, weights, epsilon=epsilon, tol=_TOLERANCE, **options)
    assert isinstance(found, list)
    return found


def _row(problem: str, found: list[otf.barycenter.Barycenter], epsilon: float, seconds: float) -> Row:
    value = float(np.mean([one.value for one in found]))
    name = f"{problem}, eps = {epsilon:g}, tol = {_TOLERANCE:g}"
    return Row(name, value, max(one.error for one in found), seconds)


def _entropy(image: _Array) -> float:
    w = image[image > 0.0]
    return -float(w @ np.log(w))


def _corner_colours() -> _Array:
    to_rgb = import_extra("matplotlib.colors", "demo").to_rgb
    return np.array([to_rgb(colour) for colour in (plot.FIRST, plot.SECOND, "#7a4fa3", "#4c9a52")])


def _figure(width: float, height: float, title: str) -> Any:
    figure = import_extra("matplotlib.figure", "demo").Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=15)
    return figure
