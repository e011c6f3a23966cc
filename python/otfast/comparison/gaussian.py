"""Barycenters of Gaussians beside POT."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otfast import gaussian
from otfast.comparison.table import Table, clock, pot_is_installed

__all__ = [
    "DIMENSIONS",
    "TOLERANCE",
    "compare",
    "covariances",
    "otfast_barycenter",
    "pot_barycenter",
    "residual",
]

#: How far from a fixed point a barycenter may be, ‖Σ λ_k (S^½ S_k S^½)^½ − S‖ / ‖S‖.
TOLERANCE = 1e-7

#: Dimensions of the Gaussians.
DIMENSIONS = (2, 16, 128)

#: A small problem is solved so many times.
_REPEATS = {2: 100, 16: 20}

_Array = NDArray[np.float64]


def covariances(dim: int, count: int = 10, seed: int = 0) -> _Array:
    """Draw covariances of samples, `(count, dim, dim)`."""
    A = np.random.default_rng(seed).standard_normal((count, dim, 2 * dim))
    S: _Array = A @ np.swapaxes(A, 1, 2) / (2 * dim)
    return (S + np.swapaxes(S, 1, 2)) / 2.0


def otfast_barycenter(covs: _Array, repeats: int = 1) -> _Array:
    """Find the barycenter with otfast, several times."""
    means = np.zeros(covs.shape[:2])
    for _ in range(repeats):
        result = gaussian.barycenter(means, covs, tol=TOLERANCE)
    return np.asarray(result.cov, np.float64)


def pot_barycenter(covs: _Array, repeats: int = 1) -> _Array:
    """Find the barycenter with POT, several times; its test is on the change of S in one step."""
    with warnings.catch_warnings():
        # Of backends that it does not find.
        warnings.simplefilter("ignore")
        import ot

        means = np.zeros(covs.shape[:2])
        # Norms of these covariances are about the root of the dimension.
        eps = TOLERANCE * np.sqrt(covs.shape[-1])
        for _ in range(repeats):
            _, S = ot.gaussian.bures_wasserstein_barycenter(means, covs, eps=eps, num_iter=1000)
    result: _Array = S
    return result


def residual(S: _Array, covs: _Array) -> float:
    """Return how far S is from a fixed point, for equal weights."""
    R = _root(S)
    return float(np.linalg.norm(_root(R @ covs @ R).mean(axis=0) - S) / np.linalg.norm(S))


def compare(quick: bool) -> bool:
    """Print the table of barycenters of Gaussians, and return whether every answer of otfast is right."""
    print(f"\nBarycenters of 10 Gaussians, until the equation of the fixed point holds to {TOLERANCE:g}\n")
    table = Table(("otfast", "POT"), ("error", "POT's error"))
    table.print_header()
    all_right = True
    for dim in DIMENSIONS[:2] if quick else DIMENSIONS:
        covs, repeats = covariances(dim), _REPEATS.get(dim, 1)
        solvers: dict[str, Callable[[], Any]] = {"otfast": partial(otfast_barycenter, covs, repeats)}
        if pot_is_installed():
            solvers["POT"] = partial(pot_barycenter, covs, repeats)
        seconds, answers = clock(solvers)
        errors = {name: residual(answer, covs) for name, answer in answers.items()}
        right = errors["otfast"] <= TOLERANCE
        name = f"dimension {dim}" + (f", {repeats} times" if repeats > 1 else "")
        table.print_line(name, seconds, [errors["otfast"], errors.get("POT")], right)
        all_right &= right
    return all_right


def _root(S: _Array) -> _Array:
    w, V = np.linalg.eigh(S)
    result: _Array = (V * np.sqrt(np.maximum(w, 0.0))[..., None, :]) @ np.swapaxes(V, -1, -2)
    return result
