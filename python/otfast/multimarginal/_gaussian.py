"""The barycentric multi-marginal problem of Gaussians, whose solution is a Gaussian."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import as_array, as_matrix, check_count, check_finite, check_real, check_weights
from otfast.errors import ConvergenceWarning

__all__ = ["GaussianMultiTransport", "gaussian"]

_Array = NDArray[np.float64]

#: Eigenvalues below this share of the largest count as zero where they are divided by.
_NEGLIGIBLE = 1e-14


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
        Whether the fixed point was reached.
    n_iter : int
        The number of iterations it took.
    error : float
        The change of the covariance in the last of them, relative to it.
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
    tol: float = 1e-12,
    max_iter: int = 1000,
) -> GaussianMultiTransport:
    r"""Solve the multi-marginal problem of Gaussians with the cost of their scatter around the mean.

    .. math:: \min \sum_k \lambda_k \, \mathbb{E} \lVert x_k - \bar x \rVert^2, \quad x_k \sim N(m_k, S_k),
        \quad \bar x = \sum_k \lambda_k x_k / \Lambda, \quad \Lambda = \sum_k \lambda_k.

    With S the covariance of the barycenter, S = Σ (λ_k/Λ) (S^½ S_k S^½)^½, all x_k are images of one
    z ~ N(0, I),

    .. math:: x_k = m_k + B_k z, \quad B_k = S^{-1/2} (S^{1/2} S_k S^{1/2})^{1/2},

    so that the blocks of the joint covariance are B_k B_lᵀ = T_k S T_l with the optimal maps T_k, and the
    value is Σ λ_k ‖m_k − m̄‖² + Σ λ_k tr S_k − Λ tr S.

    Parameters
    ----------
    means : array_like, shape (K, d)
        The means m_k.
    covs : array_like, shape (K, d, d)
        The covariances S_k, symmetric and positive semi-definite.
    weights : array_like, shape (K,), optional
        The weights λ_k, not negative; 1/K each by default.
    tol : float, default 1e-12
        The relative change of S at which to stop.
    max_iter : int, default 1000
        Largest number of iterations.

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
    An iteration takes K + 1 eigendecompositions, O(K d³).

    References
    ----------
    .. [1] Knott and Smith, "On a generalization of cyclic monotonicity and distances among random vectors",
       1994.
    .. [2] Agueh and Carlier, "Barycenters in the Wasserstein space", 2011: theorem 6.1.
    .. [3] Álvarez-Esteban, del Barrio, Cuesta-Albertos and Matrán, "A fixed-point approach to barycenters in
       Wasserstein space", 2016: theorem 4.2, the iteration.

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
    check_finite("means", m)
    K, d = m.shape
    S = as_array("covs", covs).astype(np.float64, copy=False)
    if S.shape != (K, d, d):
        raise ValueError(f"covs must have shape ({K}, {d}, {d}), as means say, but their shape is {S.shape}")
    check_finite("covs", S)
    shares, total, _ = check_weights("weights", weights, K)
    shares = shares / total
    tol = check_real("tol", tol, 0.0)
    max_iter = check_count("max_iter", max_iter)
    roots = [_checked_root(k, cov) for k, cov in enumerate(S)]

    bary = np.tensordot(shares, S, 1)
    error = np.inf
    n_iter = 0
    while n_iter < max_iter and error > tol:
        root, inverse = _roots(bary)
        mean_root = sum(share * _nuclear_root(root, r) for share, r in zip(shares, roots, strict=True))
        image = inverse @ mean_root @ mean_root @ inverse
        n_iter += 1
        scale = float(np.abs(bary).max())
        error = float(np.abs(image - bary).max()) / scale if scale > 0.0 else 0.0
        bary = (image + image.T) / 2
    if error > tol:
        warnings.warn(
            f"the covariance still changes by {error:.1e} at max_iter, more than tol = {tol:.1e}",
            ConvergenceWarning,
            stacklevel=2,
        )
    root, inverse = _roots(bary)
    maps = np.vstack([inverse @ _nuclear_root(root, r) for r in roots])
    centre = shares @ m
    scatter = float(shares @ ((m - centre) ** 2).sum(axis=1))
    traces = float(shares @ np.trace(S, axis1=1, axis2=2)) - float(np.trace(bary))
    return GaussianMultiTransport(
        mean=m.ravel(),
        cov=maps @ maps.T,
        value=total * (scatter + traces),
        barycenter_mean=centre,
        barycenter_cov=bary,
        converged=error <= tol,
        n_iter=n_iter,
        error=error,
    )


def _checked_root(k: int, cov: _Array) -> _Array:
    """Return a matrix R with R Rᵀ = `cov`."""
    size = float(np.abs(cov).max())
    if float(np.abs(cov - cov.T).max()) > 1e-10 * size:
        raise ValueError(f"covs[{k}] must be symmetric")
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    if values[0] < -1e-10 * size:
        raise ValueError(f"covs[{k}] must be positive semi-definite, but has the eigenvalue {values[0]:g}")
    return vectors * np.sqrt(np.maximum(values, 0.0))  # type: ignore[no-any-return]


def _roots(S: _Array) -> tuple[_Array, _Array]:
    """Return S^½ and its pseudo-inverse."""
    values, vectors = np.linalg.eigh(S)
    root = np.sqrt(np.maximum(values, 0.0))
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=values > _NEGLIGIBLE * values[-1])
    return (vectors * root) @ vectors.T, (vectors * inverse) @ vectors.T


def _nuclear_root(root: _Array, factor: _Array) -> _Array:
    """Return (S^½ R Rᵀ S^½)^½ from the singular values of S^½ R, which loses no digits to squares."""
    left, values, _ = np.linalg.svd(root @ factor)
    return (left * values) @ left.T  # type: ignore[no-any-return]
