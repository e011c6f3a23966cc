"""Problems to try things on: seeded families for benchmarks, and real images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otfast._extras import import_extra
from otfast._location_scatter import (
    AffineMaps,
    LocationScatter,
    affine_maps,
    l2_uvp,
    location_scatter,
)
from otfast.cost import Cost, DenseCost, Grid, PointCloud

__all__ = [
    "AffineMaps",
    "Digits",
    "LocationScatter",
    "TransportProblem",
    "affine_maps",
    "digits",
    "gaussian_points",
    "integer_weights",
    "l2_uvp",
    "location_scatter",
    "nested_ellipses",
    "photographs",
    "random_costs",
    "silhouettes",
    "small_problems",
    "smooth_images",
    "uniform_points",
]

_Seed = int | np.random.Generator

#: A pixel of a silhouette is filled by how many of so many times so many points are inside.
_SUBPIXELS = 4


@dataclass(frozen=True, eq=False)
class TransportProblem:
    """A transport problem: what `otfast.emd` takes.

    Attributes
    ----------
    a, b : ndarray, shapes (n,) and (m,)
        Weights of rows and columns, of total 1.
    C : Cost, shape (n, m)
        The cost; ``C.dense()`` is the array, for libraries that need it.
    """

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    C: Cost

    @property
    def is_assignment(self) -> bool:
        """Whether the weights are uniform and the matrix is square."""
        return self.a.size == self.b.size and bool(
            (self.a == self.a[0]).all() and (self.b == self.b[0]).all()
        )


def uniform_points(
    n: int, m: int | None = None, *, dim: int = 2, weighted: bool = False, rng: _Seed = 0
) -> TransportProblem:
    """Draw two clouds of uniform points in a unit cube, under the squared Euclidean distance.

    Parameters
    ----------
    n, m : int
        Numbers of points; `m` is `n` by default.
    dim : int, default 2
        Dimension of the points.
    weighted : bool, default False
        Whether weights are random (uniform on the simplex) instead of equal.
    rng : int or numpy.random.Generator, default 0
        Seed.

    Returns
    -------
    TransportProblem
    """
    rng = np.random.default_rng(rng)
    m = n if m is None else m
    cost = PointCloud(rng.random((n, dim)), rng.random((m, dim)))
    return TransportProblem(_weights(n, weighted, rng), _weights(m, weighted, rng), cost)


def gaussian_points(
    n: int, m: int | None = None, *, dim: int = 64, weighted: bool = False, rng: _Seed = 0
) -> TransportProblem:
    """Draw two clouds of standard Gaussian points, under the squared Euclidean distance.

    In high dimension all distances are alike, and geometry helps little.

    Parameters
    ----------
    n, m, dim, weighted, rng
        As in `uniform_points`.

    Returns
    -------
    TransportProblem
    """
    rng = np.random.default_rng(rng)
    m = n if m is None else m
    cost = PointCloud(rng.standard_normal((n, dim)), rng.standard_normal((m, dim)))
    return TransportProblem(_weights(n, weighted, rng), _weights(m, weighted, rng), cost)


def smooth_images(size: int, *, rng: _Seed = 0) -> TransportProblem:
    """Draw two smooth positive images on a square grid, under the squared Euclidean distance.

    Parameters
    ----------
    size : int
        Pixels along a side; the problem has ``size**2`` rows and columns.
    rng : int or numpy.random.Generator, default 0
        Seed.

    Returns
    -------
    TransportProblem
    """
    rng = np.random.default_rng(rng)
    axis = np.arange(size) / size
    return TransportProblem(_smooth_image(size, rng), _smooth_image(size, rng), Grid(axis, axis))


def random_costs(n: int, m: int | None = None, *, weighted: bool = False, rng: _Seed = 0) -> TransportProblem:
    """Draw a matrix of independent uniform costs: a problem without any geometry.

    Parameters
    ----------
    n, m, weighted, rng
        As in `uniform_points`.

    Returns
    -------
    TransportProblem
    """
    rng = np.random.default_rng(rng)
    m = n if m is None else m
    cost = DenseCost(rng.random((n, m)))
    return TransportProblem(_weights(n, weighted, rng), _weights(m, weighted, rng), cost)


def integer_weights(n: int, *, size: int = 30, rng: _Seed = 0) -> TransportProblem:
    """Draw points of a small square grid with small integer weights, under the city block distance.

    Points repeat, costs tie and partial sums of weights coincide: as degenerate as practice gets.

    Parameters
    ----------
    n : int
        Number of points on each side.
    size : int, default 30
        Length of a side of the grid.
    rng : int or numpy.random.Generator, default 0
        Seed.

    Returns
    -------
    TransportProblem
    """
    rng = np.random.default_rng(rng)
    x, y = rng.integers(0, size, (2, n, 2)).astype(np.float64)
    a, b = rng.integers(1, 5, (2, n)).astype(np.float64)
    return TransportProblem(a / a.sum(), b / b.sum(), PointCloud(x, y, "cityblock"))


def small_problems(
    n: int, *, count: int = 300, rng: _Seed = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Draw many small problems between weighted points of the unit square.

    Parameters
    ----------
    n : int
        Number of points on each side of each problem.
    count : int, default 300
        Number of problems.
    rng : int or numpy.random.Generator, default 0
        Seed.

    Returns
    -------
    A, B : ndarray, shape (count, n)
        Weights.
    C : ndarray, shape (count, n, n)
        Squared distances.
    """
    rng = np.random.default_rng(rng)
    A, B = rng.dirichlet(np.ones(n), (2, count))
    X, Y = rng.random((2, count, n, 2))
    return A, B, np.stack([PointCloud(x, y).dense() for x, y in zip(X, Y, strict=True)])


def silhouettes(size: int = 64) -> dict[str, NDArray[np.float64]]:
    """Draw five shapes by their formulas, each uniform on its inside.

    Parameters
    ----------
    size : int, default 64
        Pixels along a side, at least 8.

    Returns
    -------
    dict
        ``"cat"``, ``"two disks"``, ``"cross"``, ``"clover"`` and ``"ring"``: histograms of shape
        `(size, size)` and total 1, with smooth edges and nothing outside.

    Examples
    --------
    >>> from otfast import datasets
    >>> ring = datasets.silhouettes(32)["ring"]
    >>> ring.shape, round(float(ring.sum()), 12), float(ring[16, 16])
    ((32, 32), 1.0, 0.0)
    """
    x, y = _subpixels(size)

    def disk(
        centre_x: float, centre_y: float, radius: float, radius_y: float | None = None
    ) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = ((x - centre_x) / radius) ** 2 + (
            (y - centre_y) / (radius_y or radius)
        ) ** 2 <= 1.0
        return inside

    def bar(half_width: float, half_height: float) -> NDArray[np.bool_]:
        return (np.abs(x - 0.5) <= half_width) & (np.abs(y - 0.5) <= half_height)

    # An ear is a triangle whose tip is above the side of the head.
    across, up = np.abs(x - 0.5), y - 0.46
    ears = (across >= 0.1) & (up <= 1.7 * across) & (up >= 0.0) & (across <= 0.28 - 0.12 * (up - 0.2))
    shapes = {
        "cat": disk(0.5, 0.42, 0.3, 0.27) | ears,
        "two disks": disk(0.29, 0.71, 0.17) | disk(0.71, 0.29, 0.17),
        "cross": bar(0.1, 0.36) | bar(0.36, 0.1),
        "clover": disk(0.5, 0.69, 0.17)
        | disk(0.33, 0.43, 0.17)
        | disk(0.67, 0.43, 0.17)
        | ((np.abs(x - 0.5) <= 0.035) & (y <= 0.55) & (y >= 0.12)),
        "ring": disk(0.5, 0.5, 0.36) & ~disk(0.5, 0.5, 0.22),
    }
    images = {name: _pixels(inside, size) for name, inside in shapes.items()}
    return {name: image / image.sum() for name, image in images.items()}


def nested_ellipses(count: int = 30, *, size: int = 64, rng: _Seed = 0) -> NDArray[np.float64]:
    """Draw images of two ellipses, one within the other, of random axes, directions and places.

    Parameters
    ----------
    count : int, default 30
        Number of images.
    size : int, default 64
        Pixels along a side, at least 8.
    rng : int or numpy.random.Generator, default 0
        Seed.

    Returns
    -------
    ndarray, shape (count, size, size)
        Histograms of total 1: two thirds on the outline of the larger ellipse, the rest on the other.
    """
    x, y = _subpixels(size)
    rng = np.random.default_rng(rng)
    images = np.zeros((count, size, size))
    for image in images:
        centre = rng.uniform(0.43, 0.57, 2)
        for share, scale in ((2.0 / 3.0, 1.0), (1.0 / 3.0, 0.4)):
            radii, angle = scale * rng.uniform(0.18, 0.38, 2), rng.uniform(0.0, np.pi)
            u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
            v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
            distance = np.abs(np.hypot(u / radii[0], v / radii[1]) - 1.0) * radii.min()
            outline = _pixels(distance <= 1.0 / size, size)
            image += share * outline / outline.sum()
            centre = centre + rng.uniform(-0.03, 0.03, 2)
    return images


def photographs() -> dict[str, NDArray[np.float64]]:
    """Load the two photographs that come with scikit-learn.

    Returns
    -------
    dict
        ``"china"`` and ``"flower"``, each of shape `(427, 640, 3)`: red, green and blue in [0, 1].

    Raises
    ------
    ImportError
        If scikit-learn or Pillow is missing; the message says how to install them.
    """
    load: Any = import_extra("sklearn.datasets", "demo").load_sample_image
    import_extra("PIL", "demo")
    images: dict[str, NDArray[np.float64]] = {
        name: load(f"{name}.jpg") / 255.0 for name in ("china", "flower")
    }
    return images


class Digits(NamedTuple):
    """Handwritten digits."""

    images: NDArray[np.float64]
    """Ink in each of 8 × 8 pixels, from 0 to 16, `(1797, 8, 8)`."""
    labels: NDArray[np.int64]
    """What each is, 0 to 9, `(1797,)`."""


def digits() -> Digits:
    """Load the 1797 handwritten digits that come with scikit-learn.

    Returns
    -------
    Digits

    Raises
    ------
    ImportError
        If scikit-learn is missing; the message says how to install it.
    """
    loaded = import_extra("sklearn.datasets", "demo").load_digits()
    return Digits(loaded.images, loaded.target)


def _weights(size: int, weighted: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.dirichlet(np.ones(size)) if weighted else np.full(size, 1.0 / size)


def _subpixels(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x, to the right, and y, upwards, of the parts of pixels of the unit square."""
    if size < 8:
        raise ValueError(f"size must be at least 8, but it is {size}")
    axis = (np.arange(_SUBPIXELS * size) + 0.5) / (_SUBPIXELS * size)
    x, y = np.meshgrid(axis, axis[::-1])
    return x, y


def _pixels(inside: NDArray[np.bool_], size: int) -> NDArray[np.float64]:
    """Return which share of every pixel is inside."""
    shares: NDArray[np.float64] = inside.reshape(size, _SUBPIXELS, size, _SUBPIXELS).mean((1, 3))
    return shares


def _smooth_image(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the exponential of Gaussian noise, low-pass filtered: weights of total 1."""
    frequency = np.fft.fftfreq(size) * size
    damping = np.exp(-(frequency[:, None] ** 2 + frequency**2) / 18.0)
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * damping).real
    image = np.exp(1.5 * noise / noise.std()).ravel()
    weights: NDArray[np.float64] = image / image.sum()
    return weights
