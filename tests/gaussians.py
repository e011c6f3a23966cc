"""Covariances for tests, and matrix functions that share nothing with the solvers."""

import numpy as np


def root(S):
    """Return S^½ of semi-definite matrices."""
    w, V = np.linalg.eigh(S)
    return (V * np.sqrt(np.maximum(w, 0.0))[..., None, :]) @ np.swapaxes(V, -1, -2)


def covariances(rng, *shape, dim, rank=None):
    """Draw random covariances, singular if their rank is less than `dim`."""
    A = rng.standard_normal((*shape, dim, rank or dim + 2))
    S = A @ np.swapaxes(A, -1, -2) / dim
    return (S + np.swapaxes(S, -1, -2)) / 2


def bures_squared(S, T):
    """Return tr S + tr T − 2 tr (S^½ T S^½)^½, from singular values."""
    overlap = np.linalg.svd(root(S) @ root(T), compute_uv=False).sum()
    return np.trace(S) + np.trace(T) - 2 * overlap


def fixed_point_residual(S, covs, weights):
    """Return ‖Σ λ_k (S^½ S_k S^½)^½ − S‖ / ‖S‖."""
    R = root(S)
    mean = np.einsum("k,kij->ij", weights, root(R @ covs @ R))
    return np.linalg.norm(mean - S) / np.linalg.norm(S)


def rotation(rng, dim):
    """Draw a rotation."""
    return np.linalg.qr(rng.standard_normal((dim, dim)))[0]


def central_difference(function, x, direction, step=1e-5):
    """Return the derivative of a function at x along a direction."""
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)
