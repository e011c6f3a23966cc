"""The barycentric multi-marginal problem of Gaussians, whose solution is a Gaussian."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import as_array, as_matrix, check_weights
from otfast.errors import ConvergenceWarning
from otfast.gaussian import barycenter, transport_map

__all__ = ["GaussianMultiTransport", "gaussian"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class GaussianMultiTransport:
    """The optimal joint law of K Gaussians for the barycentric cost.

    Attributes
    ----------
    mean : ndarray, shape (K d,)
        The means of the marginals, one after another.
    cov : ndarray, shape (K d, K d)
        The joint covariance; its d × d blocks on the diagonal are those of the marginals.
    value : float
        The optimal value, Σ λ_k E‖x_k − x̄‖².
    barycenter_mean, barycenter_cov : ndarray, shapes (d,) and (d, d)
        The law of x̄, which is the barycenter of the marginals.
    converged : bool
        Whether the barycenter was found.
    n_iter : int
        The number of steps it took.
    error : float
        That of `otfast.gaussian.barycenter`.
    """

    mean: _Array
    cov: _Array
    value: float
    barycenter_mean: _Array
    barycenter_cov: _Array
    converged: bool
    n_iter: int
    error: float

    def __repr__(self) -> str:
        d = self.barycenter_mean.size
        return (
            f"GaussianMultiTransport(K={self.mean.size // d}, d={d}, value={self.value:.6g}, "
            f"converged={self.converged})"
        )


def gaussian(
    means: ArrayLike,
    covs: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    tol: float = 1e-10,
    max_iter: int = 1000,
) -> GaussianMultiTransport:
    r"""Solve the multi-marginal problem of Gaussians with the cost of their scatter around the mean.

    .. math:: \min \sum_k \lambda_k \, \mathbb{E} \lVert x_k - \bar x \rVert^2, \quad x_k \sim N(m_k, S_k),
        \quad \bar x = \sum_k \lambda_k x_k / \Lambda, \quad \Lambda = \sum_k \lambda_k.

    With S the covariance of the barycenter, S = Σ (λ_k/Λ) (S^½ S_k S^½)^½, all x_k are images of one
    z ~ N(0, S) under the optimal maps,

    .. math:: x_k = m_k + T_k z, \quad T_k S T_k = S_k,

    so that the blocks of the joint covariance are T_k S T_l, and the value is Σ λ_k ‖m_k − m̄‖² +
    Σ λ_k tr S_k − Λ tr S.

    Parameters
    ----------
    means : array_like, shape (K, d)
        The means m_k.
    covs : array_like, shape (K, d, d)
        The covariances S_k, symmetric and positive semi-definite.
    weights : array_like, shape (K,), optional
        The weights λ_k, not negative; 1/K each by default.
    tol : float, default 1e-10
        The error of the barycenter at which to stop.
    max_iter : int, default 1000
        Largest number of its steps.

    Returns
    -------
    GaussianMultiTransport

    Raises
    ------
    ValueError
        If an argument is malformed, or a covariance is not symmetric and positive semi-definite.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` ends the work early.

    Notes
    -----
    The barycenter is that of `otfast.gaussian.barycenter`, whose steps take O(K d³) time.

    References
    ----------
    .. [1] Knott and Smith, "On a generalization of cyclic monotonicity and distances among random vectors",
       1994.
    .. [2] Agueh and Carlier, "Barycenters in the Wasserstein space", 2011: theorem 6.1.

    Examples
    --------
    >>> from otfast import multimarginal
    >>> result = multimarginal.gaussian([[0.0], [2.0]], [[[1.0]], [[9.0]]])
    >>> result.cov
    array([[1., 3.],
           [3., 9.]])
    >>> round(result.value, 12), result.barycenter_cov
    (2.0, array([[4.]]))
    """
    m = as_matrix("means", means).astype(np.float64, copy=False)
    K, d = m.shape
    S = as_array("covs", covs).astype(np.float64, copy=False)
    if S.shape != (K, d, d):
        raise ValueError(f"covs must have shape ({K}, {d}, {d}), as means say, but their shape is {S.shape}")
    _, total, _ = check_weights("weights", weights, K)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        bary = barycenter(m, S, weights, tol, max_iter=max_iter)
    for warning in caught:  # so that it points at the caller's line
        warnings.warn(warning.message, stacklevel=2)
    A, _ = transport_map(np.broadcast_to(bary.mean, m.shape), np.broadcast_to(bary.cov, S.shape), m, S)
    cov = bary.cov.astype(np.float64, copy=False)
    images = (A @ _root(cov)).reshape(K * d, d)
    return GaussianMultiTransport(
        mean=m.ravel(),
        cov=images @ images.T,
        value=total * float(bary.value),
        barycenter_mean=bary.mean.astype(np.float64, copy=False),
        barycenter_cov=cov,
        converged=bool(bary.converged),
        n_iter=int(bary.n_iter),
        error=float(bary.error),
    )


def _root(S: _Array) -> _Array:
    values, vectors = np.linalg.eigh(S)
    root: _Array = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root
