"""Continuous barycenter problems whose answer is known: families of a location and a scatter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import gaussian
from otfast._validation import FloatArray, as_points, check_choice, check_count

_Array = NDArray[np.float64]
_Seed = int | np.random.Generator
_Sampler = Callable[[int, int, np.random.Generator], _Array]

#: Weights of the barycenters of three and of four measures; of other numbers they are equal.
_WEIGHTS = {3: (0.25, 0.25, 0.5), 4: (0.1, 0.2, 0.3, 0.4)}


@dataclass(frozen=True, eq=False)
class LocationScatter:
    """A barycenter problem between images of one measure under affine maps, with its solution.

    The barycenter is the law of S^½ X + m for a standardised X. The measures are its images under the maps
    x ↦ A_k (x − m) + m_k, where the A_k are positive definite and Σ λ_k A_k = I. These maps are gradients of
    convex functions whose weighted sum is ‖x‖²/2 up to an affine function, and therefore optimal, and the
    barycenter is what it is called [1]_, whatever the law of X.

    Attributes
    ----------
    family : str
        The law of X.
    weights : ndarray, shape (K,)
        λ_k.
    means, covs : ndarray, shapes (K, d) and (K, d, d)
        Moments of the measures.
    mean, cov : ndarray, shapes (d,) and (d, d)
        Moments m and S of the barycenter.
    matrices : ndarray, shape (K, d, d)
        A_k.

    References
    ----------
    .. [1] Agueh and Carlier, "Barycenters in the Wasserstein space", 2011, proposition 3.8.
    """

    family: str
    weights: _Array
    means: _Array
    covs: _Array
    mean: _Array
    cov: _Array
    matrices: _Array

    def sample(self, k: int, n: int, *, rng: _Seed = 0) -> _Array:
        """Draw `n` points of measure `k`, `(n, d)`."""
        return self.from_barycenter(k, self.sample_barycenter(n, rng=rng))

    def sample_barycenter(self, n: int, *, rng: _Seed = 0) -> _Array:
        """Draw `n` points of the barycenter, `(n, d)`."""
        x = _FAMILIES[self.family](n, self.mean.size, np.random.default_rng(rng))
        return x @ _power(self.cov, 0.5) + self.mean

    def from_barycenter(self, k: int, y: ArrayLike) -> _Array:
        """Apply the optimal map from the barycenter to measure `k` to points `(n, d)`."""
        mapped: _Array = (as_points("y", y) - self.mean) @ self.matrices[k] + self.means[k]
        return mapped

    def to_barycenter(self, k: int, x: ArrayLike) -> _Array:
        """Apply the optimal map from measure `k` to the barycenter to points `(n, d)`."""
        inverse = np.linalg.inv(self.matrices[k])
        mapped: _Array = (as_points("x", x) - self.means[k]) @ inverse + self.mean
        return mapped


class AffineMaps(NamedTuple):
    """What moments of samples tell about a barycenter."""

    mean: FloatArray
    """Mean of the barycenter, `(d,)`."""
    cov: FloatArray
    """Its covariance, `(d, d)`."""
    to_barycenter: tuple[FloatArray, FloatArray]
    """A `(K, d, d)` and b `(K, d)` of the maps x ↦ A_k x + b_k from the measures to the barycenter."""
    from_barycenter: tuple[FloatArray, FloatArray]
    """The same for the maps back."""


def location_scatter(
    family: str = "gaussian", dim: int = 2, n_measures: int = 3, *, rng: _Seed = 0
) -> LocationScatter:
    """Draw a barycenter problem of a location–scatter family, with its solution.

    Parameters
    ----------
    family : {"gaussian", "cube", "ball", "swiss-roll"}, default "gaussian"
        The law of X, standardised: Gaussian, uniform in a cube or in a ball, or uniform in the angle of a
        planar spiral, t (cos t, sin t) for t in [3π/2, 9π/2]; in more than two dimensions, the other
        coordinates of that are Gaussian.
    dim : int, default 2
        Dimension, at least 2 for the spiral.
    n_measures : int, default 3
        Number of measures. Three have the weights ¼, ¼, ½, four .1, .2, .3, .4, others equal ones.
    rng : int or numpy.random.Generator, default 0
        Seed. Scatters have eigenvalues within a factor 4, in random directions; locations are Gaussian.

    Returns
    -------
    LocationScatter

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.

    Examples
    --------
    >>> from otfast import datasets
    >>> problem = datasets.location_scatter("swiss-roll")
    >>> problem.sample(0, 1000).shape
    (1000, 2)
    """
    check_choice("family", family, _FAMILIES)
    dim, count = check_count("dim", dim), check_count("n_measures", n_measures)
    if family == "swiss-roll" and dim < 2:
        raise ValueError("dim must be at least 2 for a swiss roll")
    rng = np.random.default_rng(rng)
    weights = np.array(_WEIGHTS.get(count, (1.0 / count,) * count))
    cov = _scatter(dim, rng)
    scatters = np.stack([_scatter(dim, rng) for _ in range(count)])
    balance = _power(np.einsum("k,kij->ij", weights, scatters), -0.5)
    matrices = balance @ scatters @ balance
    means = rng.standard_normal((count, dim))
    return LocationScatter(family, weights, means, matrices @ cov @ matrices, weights @ means, cov, matrices)


def affine_maps(samples: Sequence[ArrayLike], weights: ArrayLike | None = None) -> AffineMaps:
    """Estimate a barycenter of a location–scatter family, and the maps to and from it, by moments of samples.

    Means and covariances of the samples are those of Gaussians, between which all maps are affine [1]_.

    Parameters
    ----------
    samples : sequence of K array_like, shapes (n_k, d)
        Points of the measures.
    weights : array_like, shape (K,), optional
        λ_k, as in `otfast.gaussian.barycenter`.

    Returns
    -------
    AffineMaps

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.

    References
    ----------
    .. [1] Álvarez-Esteban, del Barrio, Cuesta-Albertos and Matrán, "A fixed-point approach to barycenters in
       Wasserstein space", 2016, section 4.

    Examples
    --------
    >>> from otfast import datasets
    >>> problem = datasets.location_scatter()
    >>> maps = datasets.affine_maps([problem.sample(k, 1000) for k in range(3)], problem.weights)
    >>> maps.cov.shape
    (2, 2)
    """
    clouds = [as_points(f"samples[{k}]", points) for k, points in enumerate(samples)]
    if len({cloud.shape[1] for cloud in clouds}) != 1:
        raise ValueError("samples must hold points of one dimension, for at least one measure")
    means = np.stack([cloud.mean(axis=0) for cloud in clouds])
    centred = [cloud - mean for cloud, mean in zip(clouds, means, strict=True)]
    covs = np.stack([cloud.T @ cloud / len(cloud) for cloud in centred])
    found = gaussian.barycenter(means, covs, weights)
    return AffineMaps(
        found.mean,
        found.cov,
        gaussian.transport_map(means, covs, found.mean, found.cov),
        gaussian.transport_map(found.mean, found.cov, means, covs),
    )


def l2_uvp(mapped: ArrayLike, truth: ArrayLike, variance: float) -> float:
    """Compute the unexplained variance of a map, 100 · E‖T(x) − T*(x)‖² / Var, in percent.

    Parameters
    ----------
    mapped, truth : array_like, shape (n, d)
        T(x) and T*(x) at points x drawn from the source.
    variance : float
        Total variance of the target: the trace of its covariance.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes differ or points are not finite.

    Examples
    --------
    >>> from otfast import datasets
    >>> datasets.l2_uvp([[1.0], [2.0]], [[1.0], [2.1]], 1.0)  # doctest: +ELLIPSIS
    0.5...
    """
    found, true = as_points("mapped", mapped), as_points("truth", truth)
    if found.shape != true.shape:
        raise ValueError(f"mapped and truth must have one shape, not {found.shape} and {true.shape}")
    return float(100.0 * np.mean(np.sum((found - true) ** 2, axis=1)) / variance)


def _power(S: _Array, exponent: float) -> _Array:
    w, V = np.linalg.eigh(S)
    result: _Array = (V * w**exponent) @ V.T
    return (result + result.T) / 2.0


def _scatter(dim: int, rng: np.random.Generator) -> _Array:
    Q = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    S: _Array = (Q * 2.0 ** rng.uniform(-1.0, 1.0, dim)) @ Q.T
    return (S + S.T) / 2.0


def _gaussian(n: int, dim: int, rng: np.random.Generator) -> _Array:
    return rng.standard_normal((n, dim))


def _cube(n: int, dim: int, rng: np.random.Generator) -> _Array:
    return rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), (n, dim))


def _ball(n: int, dim: int, rng: np.random.Generator) -> _Array:
    x = rng.standard_normal((n, dim))
    radius = np.sqrt(dim + 2.0) * rng.random((n, 1)) ** (1.0 / dim)
    result: _Array = x * (radius / np.linalg.norm(x, axis=1, keepdims=True))
    return result


def _spiral(u: _Array) -> _Array:
    t = 1.5 * np.pi * (1.0 + 2.0 * u)
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1)


def _swiss_roll(n: int, dim: int, rng: np.random.Generator) -> _Array:
    # Gauss's rule has the moments of the spiral to rounding.
    nodes, masses = np.polynomial.legendre.leggauss(200)
    curve = _spiral((nodes + 1.0) / 2.0)
    mean = masses @ curve / 2.0
    cov = (curve - mean).T @ ((masses / 2.0)[:, None] * (curve - mean))
    planar = (_spiral(rng.random(n)) - mean) @ _power(cov, -0.5)
    return np.hstack([planar, rng.standard_normal((n, dim - 2))])


_FAMILIES: dict[str, _Sampler] = {
    "gaussian": _gaussian,
    "cube": _cube,
    "ball": _ball,
    "swiss-roll": _swiss_roll,
}
