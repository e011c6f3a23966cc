"""What barycenter solvers return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from otfast._validation import FloatArray
from otfast.result import Transport

__all__ = ["Barycenter", "CertifiedBarycenter", "Measure"]


@dataclass(frozen=True, eq=False, repr=False)
class Measure:
    """A discrete measure, with the value of the problem that it solves.

    Attributes
    ----------
    points : ndarray, shape (n,) or (n, d)
        Where the mass lies; on the line in increasing order.
    weights : ndarray, shape (n,)
        How much lies there.
    value : float
        The objective at this measure.
    """

    points: FloatArray
    weights: FloatArray
    value: float

    def __repr__(self) -> str:
        return f"Measure(n={len(self.weights)}, mass={self.weights.sum():.6g}, value={self.value:.6g})"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Barycenter:
    """A barycenter of measures.

    Attributes
    ----------
    weights : ndarray
        The weights of the barycenter, in the shape of its support: `(n,)`, or that of an image.
    value : float
        The objective at the barycenter, regularisation included.
    converged : bool
        Whether the solver reached its tolerance.
    n_iter : int
        The number of iterations it took.
    error : float
        What the tolerance was compared with; every solver says what it measures.
    points : ndarray, shape (n, d), or None
        The support, where it is one of points.
    couplings : sequence of Transport
        The plans between the barycenter and every measure, of shapes `(n, m_k)`.
    history : ndarray
        The objective from the initial guess to `value`; empty where the solver does not follow it.
    """

    weights: FloatArray
    value: float
    converged: bool
    n_iter: int
    error: float
    points: FloatArray | None = None
    couplings: Sequence[Transport] = ()
    history: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        shape = "×".join(str(size) for size in self.weights.shape)
        return (
            f"Barycenter({shape}, value={self.value:.6g}, {state} after {self.n_iter} iterations, "
            f"error={self.error:.2e})"
        )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CertifiedBarycenter(Barycenter):
    """A barycenter with a proof: `error` = (value − lower_bound)/|value|.

    Attributes
    ----------
    lower_bound : float
        Σ_k λ_k ⟨g_k, b_k⟩ for the c-transforms g_k of `potentials`: no histogram has a smaller objective.
    potentials : ndarray, shape (K, n)
        f_k with Σ_k λ_k f_k = 0, for the measures of positive λ_k; −inf where no mass may be.
    """

    lower_bound: float
    potentials: NDArray[np.float64]
