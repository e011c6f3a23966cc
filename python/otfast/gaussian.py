"""Gaussians: distances, maps, geodesics and barycenters in closed form or nearly so, one problem or many."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._gaussian_result import BarycenterGradient, GaussianBarycenter
from otfast._gaussian_validation import as_covariances, as_means, common_batch, common_dtype, flat
from otfast._validation import (
    FloatArray,
    as_array,
    check_count,
    check_finite,
    check_real,
    check_weight_rows,
    check_weights,
)
from otfast.errors import ConvergenceWarning
from otfast.progress import Progress, Reporter
from otfast.result import to_scalar

__all__ = [
    "BarycenterGradient",
    "GaussianBarycenter",
    "Wasserstein2Gradient",
    "barycenter",
    "bures_distance",
    "geodesic",
    "transport_map",
    "wasserstein2",
    "wasserstein2_gradient",
]

#: C++'s `Status::optimal` and `Status::stopped`.
_OPTIMAL, _STOPPED = 0, 2


class Wasserstein2Gradient(NamedTuple):
    """Gradients of W₂² between two Gaussians."""

    m0: FloatArray
    """2 (m₀ − m₁), `(…, d)`."""
    S0: FloatArray
    """I − A with A the matrix of the optimal map from the first to the second, `(…, d, d)`."""
    m1: FloatArray
    """2 (m₁ − m₀), `(…, d)`."""
    S1: FloatArray
    """I − B with B the matrix of the optimal map from the second to the first, `(…, d, d)`."""


class _Pair(NamedTuple):
    """Two checked batches of Gaussians."""

    m0: FloatArray
    S0: FloatArray
    m1: FloatArray
    S1: FloatArray
    batch: tuple[int, ...]
    dtype: np.dtype[np.floating[Any]]

    def stacks(self, batch: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return flat(self.S0, batch, 2), flat(self.S1, batch, 2)


def bures_distance(S: ArrayLike, T: ArrayLike) -> float | FloatArray:
    """Compute the Bures distance of covariances, which is W₂ between centred Gaussians.

    d(S, T)² = tr S + tr T − 2 tr (S^½ T S^½)^½ [1]_.

    Parameters
    ----------
    S, T : array_like, shape (…, d, d)
        Symmetric positive semi-definite matrices; leading axes are broadcast.

    Returns
    -------
    float or ndarray, shape (…)
        The distances, in `float32` if both arguments are.

    Raises
    ------
    ValueError
        If an argument is malformed, asymmetric or indefinite; the message names it.

    Notes
    -----
    d² = ‖F − G U‖² with S = F Fᵀ, T = G Gᵀ and the best rotation U: no digits cancel where S and T are alike.
    Time is O(d³) for each pair, in parallel over pairs; arithmetic is in double precision.

    References
    ----------
    .. [1] Peyré and Cuturi, "Computational Optimal Transport", 2019, remark 2.31.

    Examples
    --------
    >>> from otfast import gaussian
    >>> gaussian.bures_distance([[4.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]])
    1.0
    """
    first, second = as_covariances("S", S), as_covariances("T", T)
    _check_same_dimension(first, second, ("S", "T"))
    batch = common_batch({"S": first.shape[:-2], "T": second.shape[:-2]})
    squared = _core.bures_squared(flat(first, batch, 2), flat(second, batch, 2))
    return _shaped(np.sqrt(squared), batch, common_dtype(first, second))


def wasserstein2(m0: ArrayLike, S0: ArrayLike, m1: ArrayLike, S1: ArrayLike) -> float | FloatArray:
    """Compute the Wasserstein distance W₂ between Gaussians.

    W₂² = ‖m₀ − m₁‖² + d(S₀, S₁)², with the Bures distance d [1]_.

    Parameters
    ----------
    m0, m1 : array_like, shape (…, d)
        Means.
    S0, S1 : array_like, shape (…, d, d)
        Covariances, symmetric and positive semi-definite. Leading axes of all four are broadcast.

    Returns
    -------
    float or ndarray, shape (…)
        W₂, not squared, in `float32` if all arguments are.

    Raises
    ------
    ValueError
        If an argument is malformed, or a covariance asymmetric or indefinite; the message names it.

    Notes
    -----
    As `bures_distance`.

    References
    ----------
    .. [1] Peyré and Cuturi, "Computational Optimal Transport", 2019, remark 2.31.

    Examples
    --------
    >>> from otfast import gaussian
    >>> gaussian.wasserstein2([0.0], [[1.0]], [3.0], [[25.0]])
    5.0
    """
    pair = _as_pair(m0, S0, m1, S1)
    squared = _core.bures_squared(*pair.stacks(pair.batch))
    means = np.linalg.norm(_mean_difference(pair), axis=-1)
    distance = np.hypot(means, np.sqrt(squared).reshape(pair.batch))
    return _shaped(distance, pair.batch, pair.dtype)


def transport_map(
    m0: ArrayLike, S0: ArrayLike, m1: ArrayLike, S1: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Compute the optimal map x ↦ A x + b between Gaussians.

    A = S₁^½ (S₁^½ S₀ S₁^½)^{−½} S₁^½ and b = m₁ − A m₀ [1]_, where the inverse is a pseudo-inverse.

    Parameters
    ----------
    m0, S0, m1, S1
        As in `wasserstein2`.

    Returns
    -------
    A : ndarray, shape (…, d, d)
        Symmetric and positive semi-definite.
    b : ndarray, shape (…, d)
        The shift.

    Raises
    ------
    ValueError
        As in `wasserstein2`.

    Notes
    -----
    If S₀ is regular, or of a rank that suffices, A S₀ A = S₁. Otherwise there is no map: mass has to split,
    and x ↦ A x + b reaches as much of S₁ as a map from S₀ can. Variances below 1e-15 d of the largest count
    as zero here. Time is O(d³) for each pair, in parallel over pairs.

    References
    ----------
    .. [1] Peyré and Cuturi, "Computational Optimal Transport", 2019, remark 2.31.

    Examples
    --------
    >>> import numpy as np
    >>> from otfast import gaussian
    >>> S, T = np.diag([1.0, 4.0]), np.diag([9.0, 1.0])
    >>> A, b = gaussian.transport_map([1.0, 0.0], S, [0.0, 0.0], T)
    >>> A
    array([[3. , 0. ],
           [0. , 0.5]])
    >>> b
    array([-3.,  0.])
    """
    pair = _as_pair(m0, S0, m1, S1)
    dim = pair.S0.shape[-1]
    A = _core.transport_matrix(*pair.stacks(pair.batch)).reshape(*pair.batch, dim, dim)
    b = pair.m1.astype(np.float64) - (A @ pair.m0.astype(np.float64)[..., None])[..., 0]
    return A.astype(pair.dtype, copy=False), b.astype(pair.dtype, copy=False)


def geodesic(
    m0: ArrayLike, S0: ArrayLike, m1: ArrayLike, S1: ArrayLike, t: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Compute points of the W₂ geodesic between Gaussians, which are Gaussians.

    The mean is (1 − t) m₀ + t m₁, the covariance ((1 − t) I + t A) S₀ ((1 − t) I + t A), with A that of
    `transport_map` [1]_.

    Parameters
    ----------
    m0, S0, m1, S1
        As in `wasserstein2`.
    t : array_like, shape (…)
        Times in [0, 1], broadcast against the leading axes.

    Returns
    -------
    mean : ndarray, shape (…, d)
        The means.
    cov : ndarray, shape (…, d, d)
        The covariances.

    Raises
    ------
    ValueError
        As in `wasserstein2`, or if a time is not in [0, 1].

    Notes
    -----
    Computed from an optimal coupling, so that singular covariances are no exception. Time is O(d³) for each
    point.

    References
    ----------
    .. [1] McCann, "A convexity principle for interacting gases", 1997, example 1.7.

    Examples
    --------
    >>> from otfast import gaussian
    >>> mean, cov = gaussian.geodesic([0.0], [[1.0]], [4.0], [[9.0]], [0.0, 0.5, 1.0])
    >>> mean.ravel(), cov.ravel()
    (array([0., 2., 4.]), array([1., 4., 9.]))
    """
    pair = _as_pair(m0, S0, m1, S1)
    times = as_array("t", t)
    check_finite("t", times)
    if (times < 0.0).any() or (times > 1.0).any():
        raise ValueError("t must be in [0, 1]")
    batch = common_batch({"the Gaussians": pair.batch, "t": times.shape})
    dim = pair.S0.shape[-1]
    cov = _core.geodesic_covariance(*pair.stacks(batch), flat(times, batch, 0))
    s = np.asarray(times, np.float64)[..., None]
    mean = np.broadcast_to((1.0 - s) * pair.m0 + s * pair.m1, (*batch, dim))
    return mean.astype(pair.dtype), cov.reshape(*batch, dim, dim).astype(pair.dtype, copy=False)


def wasserstein2_gradient(m0: ArrayLike, S0: ArrayLike, m1: ArrayLike, S1: ArrayLike) -> Wasserstein2Gradient:
    """Compute the gradients of W₂² between Gaussians in their means and covariances.

    They are 2 (m₀ − m₁) and I − A, with A the matrix of the optimal map [1]_, and so for the other side.

    Parameters
    ----------
    m0, S0, m1, S1
        As in `wasserstein2`.

    Returns
    -------
    Wasserstein2Gradient
        Gradients `m0`, `S0`, `m1`, `S1`; those in covariances are symmetric: W₂² changes by ⟨I − A, dS₀⟩
        for a symmetric dS₀.

    Raises
    ------
    ValueError
        As in `wasserstein2`.

    Notes
    -----
    Where a covariance is singular, W₂² is differentiable along its range only.

    References
    ----------
    .. [1] Agueh and Carlier, "Barycenters in the Wasserstein space", 2011, section 6.

    Examples
    --------
    >>> from otfast import gaussian
    >>> gaussian.wasserstein2_gradient([1.0], [[1.0]], [0.0], [[4.0]]).S0  # of (2 − σ)², in σ²
    array([[-1.]])
    """
    pair = _as_pair(m0, S0, m1, S1)
    dim = pair.S0.shape[-1]
    stacks = pair.stacks(pair.batch)
    matrices = (_core.transport_matrix(*stacks), _core.transport_matrix(*stacks[::-1]))
    of_S0, of_S1 = (np.eye(dim) - A.reshape(*pair.batch, dim, dim) for A in matrices)
    of_m0 = 2.0 * _mean_difference(pair)
    parts = (part.astype(pair.dtype, copy=False) for part in (of_m0, of_S0, -of_m0, of_S1))
    return Wasserstein2Gradient(*parts)


def barycenter(
    means: ArrayLike,
    covs: ArrayLike,
    weights: ArrayLike | None = None,
    tol: float = 1e-10,
    *,
    max_iter: int = 1000,
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
) -> GaussianBarycenter:
    r"""Compute the barycenter of Gaussians in W₂, which is a Gaussian.

    .. math:: \min_{m, S} \sum_k \lambda_k W_2^2\big(N(m, S), N(m_k, S_k)\big)

    Its mean is Σ λ_k m_k; its covariance solves S = Σ λ_k (S^½ S_k S^½)^½ [1]_.

    Parameters
    ----------
    means : array_like, shape (…, K, d)
        Means of K Gaussians.
    covs : array_like, shape (…, K, d, d)
        Their covariances, symmetric and positive semi-definite.
    weights : array_like, shape (K,) or (…, K), optional
        λ_k, not negative; 1/K each by default. They are divided by their sum. Leading axes of all arguments
        are broadcast: each problem of the batch has a barycenter.
    tol : float, default 1e-10
        The `error` at which to stop. With 0, exactly `max_iter` steps are made.
    max_iter : int, default 1000
        Largest number of steps.
    callback : callable, optional
        Called with a `Progress` at least every 0.1 s and at the end; returning True stops the solver. In a
        batch it counts solved problems.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    GaussianBarycenter
        `mean`, `cov`, `value` = Σ λ_k W₂², `converged`, `n_iter`, `error`; and `vjp`, its derivative.

    Raises
    ------
    ValueError
        If an argument is malformed, or a covariance asymmetric or indefinite; the message names it.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or the callback ends the work early; `error` tells how far it came.

    Notes
    -----
    Newton's method on covariances, and steps of the fixed point
    S ← S^{−½} (Σ λ_k (S^½ S_k S^½)^½)² S^{−½} [2]_ where it fails. Regular inputs take three to ten steps,
    of O(K d³) each; singular ones, where the barycenter may be singular or not unique, up to some hundreds.
    The optimal value is Σ λ_k (tr S_k + ‖m_k − m‖²) − tr S, which is a check. A fixed point that lacks
    variance which the barycenter has is told from it by duality. Memory is three times that of the
    covariances. Problems of a batch run in parallel, and so do the inputs of a large one.
    Arithmetic is in double precision; results are `float32` if means and covariances are.

    References
    ----------
    .. [1] Agueh and Carlier, "Barycenters in the Wasserstein space", 2011, theorem 6.1.
    .. [2] Álvarez-Esteban, del Barrio, Cuesta-Albertos and Matrán, "A fixed-point approach to barycenters in
       Wasserstein space", 2016, theorem 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from otfast import gaussian
    >>> result = gaussian.barycenter([[0.0, 0.0], [2.0, 0.0]], [np.eye(2), 9.0 * np.eye(2)], [0.25, 0.75])
    >>> result.mean, result.cov.round(6)
    (array([1.5, 0. ]), array([[6.25, 0.  ],
           [0.  , 6.25]]))
    >>> round(result.value, 6)  # λ₁ λ₂ W₂²
    2.25
    """
    matrices = as_covariances("covs", covs)
    if matrices.ndim < 3 or matrices.shape[-3] == 0:
        raise ValueError(f"covs must have shape (…, K, d, d), but its shape is {matrices.shape}")
    count, dim = matrices.shape[-3], matrices.shape[-1]
    points = as_means("means", means, dim)
    if points.ndim < 2 or points.shape[-2] != count:
        raise ValueError(f"means must have shape (…, {count}, {dim}), but its shape is {points.shape}")
    given, totals = _check_lambdas(weights, count)
    tol = check_real("tol", tol, 0.0)
    max_iter = check_count("max_iter", max_iter)
    batch = common_batch(
        {"means": points.shape[:-2], "covs": matrices.shape[:-3], "weights": given.shape[:-1]}
    )
    lambdas = np.broadcast_to(given / totals[..., None], (*batch, count))
    dtype = common_dtype(points, matrices)

    with Reporter(callback, progress, "gaussian.barycenter") as reporter:
        stack = flat(matrices, batch, 3)
        raw = _core.bures_barycenter(stack, flat(lambdas, batch, 1), tol, max_iter, reporter.monitor)
        mean = np.einsum("...k,...kd->...d", lambdas, points)
        spread = np.einsum("...k,...kd->...", lambdas, (points - mean[..., None, :]) ** 2)
        value = raw["value"].reshape(batch) + spread
        if reporter.monitor is not None and value.size:
            n_iter = int(raw["n_iter"][0]) if value.size == 1 else value.size
            reporter.finish(n_iter, float(raw["error"].max()), float(value.sum()))
    _check_status(raw["status"], tol, raw["error"])
    return GaussianBarycenter(
        mean=mean.astype(dtype, copy=False),
        cov=raw["covariance"].reshape(*batch, dim, dim).astype(dtype, copy=False),
        value=_shaped(value, batch, dtype),
        converged=_unwrapped(raw["status"] == _OPTIMAL, batch),
        n_iter=_unwrapped(raw["n_iter"], batch),
        error=_unwrapped(raw["error"], batch),
        _means=np.broadcast_to(points, (*batch, count, dim)),
        _covs=stack.reshape(*batch, count, dim, dim),
        _weights=lambdas,
        _totals=np.broadcast_to(totals, batch),
    )


def _as_pair(m0: ArrayLike, S0: ArrayLike, m1: ArrayLike, S1: ArrayLike) -> _Pair:
    first, second = as_covariances("S0", S0), as_covariances("S1", S1)
    _check_same_dimension(first, second, ("S0", "S1"))
    mean0, mean1 = (as_means(name, m, first.shape[-1]) for name, m in (("m0", m0), ("m1", m1)))
    batch = common_batch(
        {
            "m0": mean0.shape[:-1],
            "S0": first.shape[:-2],
            "m1": mean1.shape[:-1],
            "S1": second.shape[:-2],
        }
    )
    return _Pair(mean0, first, mean1, second, batch, common_dtype(mean0, first, mean1, second))


def _check_same_dimension(first: FloatArray, second: FloatArray, names: tuple[str, str]) -> None:
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"{names[0]} and {names[1]} must be matrices of one size, "
            f"but their shapes are {first.shape} and {second.shape}"
        )


def _mean_difference(pair: _Pair) -> NDArray[np.float64]:
    difference = pair.m0.astype(np.float64) - pair.m1.astype(np.float64)
    return np.broadcast_to(difference, (*pair.batch, difference.shape[-1]))


def _check_lambdas(weights: ArrayLike | None, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Check weights `(…, K)`; returns them with their totals `(…)`."""
    array = None if weights is None else as_array("weights", weights)
    if array is None or array.ndim == 1:
        given, total, _ = check_weights("weights", array, count)
        return given, np.array(total)
    if array.ndim == 0 or array.shape[-1] != count:
        raise ValueError(f"weights must have shape ({count},) or (…, {count}), but it is {array.shape}")
    rows = array.reshape(-1, count)
    given, totals, _ = check_weight_rows("weights", rows, (len(rows), count))
    return given.reshape(array.shape), totals.reshape(array.shape[:-1])


def _check_status(status: NDArray[np.uint8], tol: float, error: NDArray[np.float64]) -> None:
    open_ = status != _OPTIMAL
    stopped = bool((status == _STOPPED).any())
    if open_.any() and (tol > 0.0 or stopped):
        cause = "by the callback" if stopped else "at max_iter"
        subject = "the solver" if status.size == 1 else f"{open_.sum()} of {status.size} problems"
        message = f"{subject} stopped {cause} with an error of {error[open_].max():.1e}, above tol = {tol:g}"
        warnings.warn(message, ConvergenceWarning, stacklevel=3)


def _shaped(
    values: NDArray[np.float64], batch: tuple[int, ...], dtype: np.dtype[np.floating[Any]]
) -> float | FloatArray:
    """One number for one problem, an array for a batch."""
    array = values.reshape(batch).astype(dtype, copy=False)
    return array if batch else to_scalar(float(array), dtype)


def _unwrapped(values: NDArray[Any], batch: tuple[int, ...]) -> Any:
    return values.reshape(batch) if batch else values.item()
