"""The mean of handwritten digits: of their pixels, and of the shapes that their ink makes.

Every image is one of scikit-learn's, moved to some place in a larger frame. The mean of the pixels blurs what
does not stand at the same place. The Wasserstein barycenter, here that of Sinkhorn divergences, moves the ink
instead, and is a digit again. How central each of the two is in its class can be checked without any ε: by
the mean of the squared distances W₂² to the images, of exact transport.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import otfast as otf
from otfast import datasets
from otfast._extras import import_extra
from otfast.demo.digits import SHIFT, SIDE, move
from otfast.demo.report import Part, Row

__all__ = ["run"]

_Array = NDArray[np.floating[Any]]

#: Pixels along a side of a frame, and into how many times how many a pixel is divided.
_FRAME = SIDE + 2 * SHIFT
_FINER = 3

#: The temperature, where the frame has sides of length 1, and the error at which to stop.
_EPSILON = 4e-3
_TOLERANCE = 1e-3

#: Images of a class that are drawn.
_DRAWN = 3


def run(folder: Path, quick: bool) -> Part:
    """Compute both means of every class, compare what they cost, and draw them."""
    count = 12 if quick else 30
    images, labels = datasets.digits()
    offsets = np.random.default_rng(0).integers(-SHIFT, SHIFT + 1, (len(images), 2))
    start = time.perf_counter()
    classes = []
    for digit in range(10):
        chosen = np.flatnonzero(labels == digit)[:count]
        classes.append(Class.of(move(images[chosen], offsets[chosen])))
    seconds = time.perf_counter() - start
    centres = [one.barycenter for one in classes]
    rows = [
        Row(
            f"10 barycenters of {count} images, eps = {_EPSILON:g}, tol = {_TOLERANCE:g}",
            float(np.mean([centre.value for centre in centres])),
            max(centre.error for centre in centres),
            seconds,
        )
    ]
    start = time.perf_counter()
    distances = np.array([[one.distance(one.mean), one.distance(one.barycenter.weights)] for one in classes])
    seconds = time.perf_counter() - start
    gap = float(distances[:, :, 1].max())
    rows.append(Row(f"{20 * count} W2^2 to the images, mean", float(distances[..., 0].mean()), gap, seconds))
    spreads = np.array([[_spread(one.mean), _spread(one.barycenter.weights)] for one in classes])
    notes = [f"{'digit':>5}  {'mean W2^2, Euclidean mean':>26}  {'barycenter':>11}  {'spread, pixels':>15}"]
    notes += [
        f"{digit:5}  {of_mean:26.3f}  {of_barycenter:11.3f}  {wide:7.1f} {narrow:7.1f}"
        for digit, ((of_mean, of_barycenter), (wide, narrow)) in enumerate(
            zip(distances[..., 0], spreads, strict=True)
        )
    ]
    picture = folder / "barycenter_digits.png"
    _draw(picture, classes)
    title = "Barycenters of handwritten digits, wherever they stand"
    return Part(title, rows, [picture], notes)


@dataclass(frozen=True)
class Class:
    """The images of one digit, as measures, and their two means."""

    images: _Array
    """`(k, 36, 36)`, of total 1 each."""
    mean: _Array
    """The mean of the pixels, `(36, 36)`."""
    barycenter: otf.barycenter.Barycenter

    @staticmethod
    def of(frames: _Array) -> Class:
        """Refine images, given as the rows of a matrix, and compute their means."""
        images = np.stack([_refine(frame.reshape(_FRAME, _FRAME)) for frame in frames])
        barycenter = otf.barycenter.convolutional(images, epsilon=_EPSILON, debiased=True, tol=_TOLERANCE)
        assert not isinstance(barycenter, list)
        return Class(images, images.mean(axis=0), barycenter)

    def distance(self, centre: _Array) -> tuple[float, float]:
        """Return the mean of the exact W₂² to the images, in pixels squared, and the largest duality gap.

        Both are summed over the pixels of the scan before, to be fast.
        """
        axis = np.arange(float(_FRAME))
        coarse = _coarsen(self.images)
        a = np.repeat(_coarsen(centre[None]), len(coarse), axis=0)
        found = otf.emd_batch(a, coarse, otf.Grid(axis, axis))
        return float(found.value.mean()), float(found.error.max())


def _refine(frame: _Array) -> _Array:
    fine = ndimage.zoom(frame, _FINER, order=1, grid_mode=True, mode="grid-constant")
    weights: _Array = np.maximum(fine, 0.0) / np.maximum(fine, 0.0).sum()
    return weights


def _coarsen(images: _Array) -> _Array:
    """Sum over blocks of pixels: rows of total 1."""
    blocks = images.reshape(-1, _FRAME, _FINER, _FRAME, _FINER).sum((2, 4)).reshape(-1, _FRAME**2)
    weights: _Array = blocks / blocks.sum(axis=1, keepdims=True)
    return weights


def _spread(image: _Array) -> float:
    """Return exp(entropy), in pixels of the scan: on how many the ink would be, if it were uniform."""
    w = image[image > 0.0] / image.sum()
    return float(np.exp(-(w @ np.log(w)))) / _FINER**2


def _draw(path: Path, classes: list[Class]) -> None:
    figure = import_extra("matplotlib.figure", "demo").Figure(figsize=(15, 8.4), layout="constrained")
    figure.suptitle("Ten digits, written anywhere: the mean of the pixels, and the barycenter", fontsize=15)
    axes = figure.subplots(_DRAWN + 2, len(classes))
    for column, one in zip(axes.T, classes, strict=True):
        for ax, image in zip(column, one.images, strict=False):
            ax.imshow(image, cmap="Greys")
        column[_DRAWN].imshow(one.mean, cmap="Oranges")
        column[_DRAWN + 1].imshow(one.barycenter.weights, cmap="Blues")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color("0.8")
    axes[1, 0].set_ylabel("some of the images", fontsize=12)
    axes[_DRAWN, 0].set_ylabel("mean of pixels", fontsize=12)
    axes[_DRAWN + 1, 0].set_ylabel("barycenter", fontsize=12)
    figure.savefig(path, dpi=120)
