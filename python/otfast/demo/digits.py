"""Handwritten digits, recognised by the cost of turning the ink of one into that of another.

An image is a measure on its pixels. W₂ also sees how far apart two images stand. Since
W₂²(μ, ν) = |mean μ − mean ν|² + W₂²(μ − mean μ, ν − mean ν), the part that belongs to the shapes comes for
free, and it is the same wherever the digits stand.
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
from otfast._certificate import violation
from otfast._extras import import_extra
from otfast.demo.report import Part, Row

__all__ = ["run"]

_Array = NDArray[np.floating[Any]]
_Indices = NDArray[np.intp]
_Offsets = NDArray[np.int64] | int

#: Pixels along a side of an image, and by how many of them images are moved at most.
SIDE = 8
SHIFT = 2

#: Rows and columns of the pixels: the grid that images are measures on.
_GRID = otf.Grid(np.arange(float(SIDE)), np.arange(float(SIDE)))
_PIXELS: _Array = np.indices((SIDE, SIDE)).reshape(2, -1).T.astype(np.float64)


def run(folder: Path, quick: bool) -> Part:
    """Classify digits by their nearest neighbours in three distances, and draw the most alike pairs."""
    n_train, n_test = (60, 20) if quick else (300, 200)
    images, labels = datasets.digits()
    rng = np.random.default_rng(0)
    train, test = np.split(rng.permutation(len(images))[: n_train + n_test], [n_train])
    start = time.perf_counter()
    pairs = Pairs.solve(images[test], images[train])
    seconds = time.perf_counter() - start

    offsets = rng.integers(-SHIFT, SHIFT + 1, (len(images), 2))
    framed, moved = move(images, np.zeros_like(offsets)), move(images, offsets)
    distances = {
        "Euclidean distance of the pixels": (
            _squared_distances(framed[test], framed[train]),
            _squared_distances(moved[test], moved[train]),
        ),
        "W2 of the ink": (pairs.squared(0, 0), pairs.squared(offsets[test], offsets[train])),
        "W2 of the shapes, wherever they stand": (pairs.squared_of_shapes, pairs.squared_of_shapes),
    }
    notes = [
        f"{'right answers of the nearest neighbour':38} {'as scanned':>12} {f'moved by <= {SHIFT} px':>18}"
    ]
    for name, settings in distances.items():
        scanned, shifted = (_accuracy(squared, labels[test], labels[train]) for squared in settings)
        notes.append(f"{name:38} {scanned:12.1%} {shifted:18.1%}")

    alike = most_alike(pairs.squared_of_shapes, labels[test], labels[train])
    picture = folder / "digits_alike.png"
    _draw_pairs(picture, pairs, alike)
    problem = f"{pairs.squared_of_shapes.size} pairs of {SIDE} x {SIDE} images, mean W2^2"
    rows = [Row(problem, float(pairs.squared(0, 0).mean()), pairs.gap(), seconds)]
    return Part("Handwritten digits: nearest neighbours by exact transport", rows, [picture], notes)


@dataclass(frozen=True)
class Pairs:
    """Exact transport between every one of some images and every one of some others."""

    first: _Array
    """Images as weights, `(k, 64)`."""
    second: _Array
    """Images as weights, `(l, 64)`."""
    plans: otf.exact.TransportBatch
    """Of the pairs, those of the first image first."""

    @staticmethod
    def solve(first: _Array, second: _Array) -> Pairs:
        """Solve all pairs, with one common cost: the squared distance between pixels."""
        a, b = (image.reshape(len(image), -1) / image.sum((1, 2))[:, None] for image in (first, second))
        A, B = np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))
        return Pairs(a, b, otf.emd_batch(A, B, _GRID, progress=True))

    def plan(self, i: int, j: int) -> otf.Transport:
        """Return the plan from the first image i to the second image j."""
        return self.plans[i * len(self.second) + j]

    def squared(self, offsets_first: _Offsets, offsets_second: _Offsets) -> _Array:
        """Return all W₂², `(k, l)`, after moving the images by these offsets."""
        means = self.first @ _PIXELS + offsets_first, self.second @ _PIXELS + offsets_second
        return self.squared_of_shapes + _squared_distances(*means)

    @property
    def squared_of_shapes(self) -> _Array:
        """W₂² between the centred images, `(k, l)`."""
        values = self.plans.value.reshape(len(self.first), len(self.second))
        shapes: _Array = values - _squared_distances(self.first @ _PIXELS, self.second @ _PIXELS)
        return shapes

    def gap(self) -> float:
        """Return the largest duality gap of all, and the largest violation of what is checked once more.

        Those are the nearest pairs, one for each of the first images.
        """
        nearest = enumerate(self.squared_of_shapes.argmin(axis=1))
        checked = (violation(self.plan(i, j), self.first[i], self.second[j], _GRID) for i, j in nearest)
        return max(float(self.plans.error.max()), *checked)


def move(images: _Array, offsets: NDArray[np.int64]) -> _Array:
    """Put images into a larger frame, moved by up to `SHIFT` pixels, and return them as vectors."""
    frames = np.zeros((len(images), SIDE + 2 * SHIFT, SIDE + 2 * SHIFT))
    for frame, image, (down, right) in zip(frames, images, offsets + SHIFT, strict=True):
        frame[down : down + SIDE, right : right + SIDE] = image
    return frames.reshape(len(images), -1)


def most_alike(squared: _Array, labels_first: _Indices, labels_second: _Indices) -> list[tuple[int, int]]:
    """Return, for every digit, the pair (first, second) of its images that are nearest to each other."""
    pairs = []
    for digit in np.intersect1d(labels_first, labels_second):
        same = np.outer(labels_first == digit, labels_second == digit)
        i, j = np.unravel_index(np.where(same, squared, np.inf).argmin(), squared.shape)
        pairs.append((int(i), int(j)))
    return pairs


def _squared_distances(x: _Array, y: _Array) -> _Array:
    return otf.PointCloud(x, y).dense()


def _accuracy(squared: _Array, truth: _Indices, names: _Indices) -> float:
    return float((names[squared.argmin(axis=1)] == truth).mean())


def _draw_pairs(path: Path, pairs: Pairs, chosen: list[tuple[int, int]]) -> None:
    """Draw each pair in a column: one image, the plan between the two, the other image."""
    columns = len(chosen)
    figure = import_extra("matplotlib.figure", "demo").Figure(
        figsize=(1.5 * columns, 5.4), layout="constrained"
    )
    axes = figure.subplots(3, columns, squeeze=False)
    shapes = pairs.squared_of_shapes
    for (above, middle, below), (i, j) in zip(axes.T, chosen, strict=True):
        above.imshow(pairs.first[i].reshape(SIDE, SIDE), cmap="Blues")
        below.imshow(pairs.second[j].reshape(SIDE, SIDE), cmap="Oranges")
        middle.imshow(pairs.first[i].reshape(SIDE, SIDE), cmap="Greys", alpha=0.25)
        _draw_moves(middle, pairs.plan(i, j))
        above.set_title(f"{np.sqrt(shapes[i, j]):.2f} px", fontsize=10)
        for ax in (above, middle, below):
            ax.set(xticks=[], yticks=[])
    for ax, label in zip(axes[:, 0], ("one", "what moves", "the other"), strict=True):
        ax.set_ylabel(label, fontsize=11)
    figure.suptitle("The most alike pair of every digit, and W2 between their shapes", fontsize=13)
    figure.savefig(path, dpi=120)


def _draw_moves(ax: Any, plan: otf.Transport) -> None:
    """Draw an arrow for all ink that moves to another pixel, the darker the more it is."""
    sparse = plan.sparse_plan
    rows, cols = sparse.coords
    moves = rows != cols
    (down, right), (to_down, to_right) = _PIXELS[rows[moves]].T, _PIXELS[cols[moves]].T
    ax.quiver(
        *(right, down, to_right - right, to_down - down),
        sparse.data[moves],
        cmap="inferno_r",
        clim=(-0.3 * sparse.data.max(), sparse.data.max()),
        **{"angles": "xy", "scale_units": "xy", "scale": 1.0, "width": 0.018, "headwidth": 4.0},
    )
