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
    "photographs",
    "random_costs",
    "small_problems",
    "smooth_images",
    "uniform_points",
]

_Seed = int | np.random.Generator


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


def _smooth_image(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the exponential of Gaussian noise, low-pass filtered: weights of total 1."""
    frequency = np.fft.fftfreq(size) * size
    damping = np.exp(-(frequency[:, None] ** 2 + frequency**2) / 18.0)
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * damping).real
    image = np.exp(1.5 * noise / noise.std()).ravel()
    weights: NDArray[np.float64] = image / image.sum()
    return weights
