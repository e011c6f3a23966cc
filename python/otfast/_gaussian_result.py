"""What the barycenter of Gaussians returns, and its derivative."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._gaussian_validation import flat
from otfast._validation import FloatArray, as_array, check_finite

__all__ = ["BarycenterGradient", "GaussianBarycenter"]


class BarycenterGradient(NamedTuple):
    """Gradients of a loss in the inputs of a barycenter."""

    means: FloatArray
    """In the means, `(…, K, d)`."""
    covs: FloatArray
    """In the covariances, symmetric, `(…, K, d, d)`."""
    weights: FloatArray
    """In the weights, `(…, K)`; those of a problem are orthogonal to its weights, which are normalised."""


@dataclass(frozen=True, eq=False, repr=False)
class GaussianBarycenter:
    """The barycenter of Gaussians, or of each of many families of them.

    Attributes
    ----------
    mean : ndarray, shape (…, d)
        Mean of the barycenter.
    cov : ndarray, shape (…, d, d)
        Covariance of the barycenter.
    value : float or ndarray, shape (…)
        Σ λ_k W₂²(barycenter, k-th Gaussian).
    converged : bool or ndarray, shape (…)
        Whether the error is at most the tolerance.
    n_iter : int or ndarray, shape (…)
        The number of steps.
    error : float or ndarray, shape (…)
        ‖Σ λ_k (S^½ S_k S^½)^½ − S‖ / ‖S‖, Frobenius norms: how far S is from a fixed point.
    """

    mean: FloatArray
    cov: FloatArray
    value: Any
    converged: Any
    n_iter: Any
    error: Any
    _means: FloatArray = field(repr=False)
    _covs: FloatArray = field(repr=False)
    _weights: NDArray[np.float64] = field(repr=False)
    _totals: NDArray[np.float64] = field(repr=False)

    def __repr__(self) -> str:
        batch = self.mean.shape[:-1]
        shape = f"{batch} of " if batch else ""
        converged = np.asarray(self.converged)
        state = "converged" if converged.all() else f"{np.sum(~converged)} of {converged.size} not converged"
        value = f", value={self.value:.6g}" if not batch else ""
        return (
            f"GaussianBarycenter({shape}dimension {self.mean.shape[-1]}{value}, {state} after "
            f"{np.max(self.n_iter, initial=0)} iterations, error={np.max(self.error, initial=0.0):.2e})"
        )

    def vjp(self, mean: ArrayLike | None = None, cov: ArrayLike | None = None) -> BarycenterGradient:
        """Compute the gradients of a loss in the inputs from those in the barycenter.

        The equation Σ λ_k T_k(S, S_k) = I, with T_k the matrices of the optimal maps from S to S_k, defines S
        as a function of the inputs, which is differentiated implicitly.

        Parameters
        ----------
        mean : array_like, shape (…, d), optional
            Gradient of the loss in `mean`; zero by default.
        cov : array_like, shape (…, d, d), optional
            Gradient of the loss in `cov`; zero by default. Only its symmetric part matters.

        Returns
        -------
        BarycenterGradient
            Gradients in `means`, `covs` and `weights`, with all batch axes: where an argument was broadcast,
            sum over them.

        Raises
        ------
        ValueError
            If a gradient does not have the shape of what it belongs to, or is not finite.

        Notes
        -----
        One linear system, solved by conjugate gradients, costs about as much as the barycenter. S has to be
        converged. Where inputs are singular, S is not differentiable in directions out of their range: those
        are left out.

        Examples
        --------
        >>> import numpy as np
        >>> from otfast import gaussian
        >>> result = gaussian.barycenter([[0.0], [1.0]], [[[1.0]], [[9.0]]], [0.5, 0.5])
        >>> result.cov  # of (½ 1 + ½ 3)²
        array([[4.]])
        >>> result.vjp(cov=[[1.0]]).covs.round(6).ravel()  # 1 / σ_k
        array([1.      , 0.333333])
        """
        u_mean = self._gradient("mean", mean, self.mean)
        u_cov = self._gradient("cov", cov, self.cov)
        batch, dtype = self.mean.shape[:-1], self.mean.dtype
        weights = self._weights
        of_means = weights[..., None] * u_mean[..., None, :]
        of_weights = np.einsum("...kd,...d->...k", self._means, u_mean)
        of_covs = np.zeros_like(self._covs, dtype=np.float64)
        if u_cov.any():
            symmetric = (u_cov + np.swapaxes(u_cov, -1, -2)) / 2.0
            covs, weight_part = _core.bures_pull_back(
                flat(self._covs, batch, 3),
                flat(weights, batch, 1),
                flat(self.cov, batch, 2),
                flat(symmetric, batch, 2),
            )
            of_covs = covs.reshape(self._covs.shape)
            of_weights = of_weights + weight_part.reshape(weights.shape)
        # The result depends on λ = w / Σ w alone.
        centred = of_weights - (weights * of_weights).sum(-1, keepdims=True)
        of_weights = centred / self._totals[..., None]
        return BarycenterGradient(*(part.astype(dtype) for part in (of_means, of_covs, of_weights)))

    @staticmethod
    def _gradient(name: str, value: ArrayLike | None, of: FloatArray) -> NDArray[np.float64]:
        if value is None:
            return np.zeros(of.shape)
        array = as_array(name, value)
        if array.shape != of.shape:
            raise ValueError(f"{name} must have shape {of.shape}, like the barycenter's, not {array.shape}")
        check_finite(name, array)
        return array.astype(np.float64)
