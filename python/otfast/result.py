"""What solvers return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from otfast._validation import FloatArray, as_array

if TYPE_CHECKING:
    from scipy.sparse import coo_array

__all__ = ["Coupling", "SparseCoupling", "Transport"]


class Coupling(Protocol):
    """A transport plan P of shape `(n, m)`, however it is represented."""

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of P, `(n, m)`."""
        ...

    @property
    def n_atoms(self) -> int | None:
        """The number of pairs with mass, or None where all may have some."""
        ...

    @property
    def linear_value(self) -> float:
        """⟨P, C⟩, in double precision."""
        ...

    def dense(self) -> FloatArray:
        """Return P as an array."""
        ...

    def sparse(self) -> coo_array:
        """Return P as a sparse array."""
        ...

    def apply(self, v: FloatArray) -> FloatArray:
        """Return P v for `v` `(m,)` or `(m, k)`."""
        ...

    def apply_transpose(self, u: FloatArray) -> FloatArray:
        """Return Pᵀ u for `u` `(n,)` or `(n, k)`."""
        ...


@dataclass(frozen=True, eq=False)
class SparseCoupling:
    """A plan that is a list of atoms: `mass[k]` goes from `rows[k]` to `cols[k]`."""

    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    mass: FloatArray

    shape: tuple[int, int]
    linear_value: float
    """⟨P, C⟩."""

    @property
    def n_atoms(self) -> int:
        """The number of atoms."""
        return self.mass.size

    def dense(self) -> FloatArray:
        """Return P as an array."""
        plan = np.zeros(self.shape, self.mass.dtype)
        plan[self.rows, self.cols] = self.mass
        return plan

    def sparse(self) -> coo_array:
        """Return P as a sparse array that shares no memory with this object."""
        return sparse.coo_array((self.mass, (self.rows, self.cols)), shape=self.shape, copy=True)

    def apply(self, v: FloatArray) -> FloatArray:
        """Return P v for `v` `(m,)` or `(m, k)`."""
        return self._matrix() @ v  # type: ignore[no-any-return]

    def apply_transpose(self, u: FloatArray) -> FloatArray:
        """Return Pᵀ u for `u` `(n,)` or `(n, k)`."""
        return self._matrix().T @ u  # type: ignore[no-any-return]

    def _matrix(self) -> coo_array:
        return sparse.coo_array((self.mass, (self.rows, self.cols)), shape=self.shape)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Transport:
    """The solution of a transport problem with two marginals.

    Attributes
    ----------
    value : float
        The optimal value of the problem that was solved, regularisation included.
    potential_a, potential_b : ndarray, shapes (n,) and (m,)
        Dual potentials f and g. Exact: f_i + g_j ≤ C_ij for all pairs, also those of zero weight, and the
        dual value ⟨f, a⟩ + ⟨g, b⟩ is the value up to `error`. Entropic: P_ij = a_i b_j exp((f_i + g_j −
        C_ij)/ε).
    converged : bool
        Whether the solver reached its tolerance.
    n_iter : int
        The number of iterations it took.
    error : float
        Exact: the relative duality gap. Entropic: the larger of the two L1 violations of the marginals,
        relative to the mass; unbalanced: the largest change of a potential in one iteration, in units of ε.
    a, b : ndarray, shapes (n,) and (m,)
        The weights of the problem, balanced.
    coupling : Coupling
        How the plan is stored.

    Notes
    -----
    Floating point results have the precision of the cost; `error` measures the computation behind them, which
    is in double precision. The arrays belong to the caller. `plan` and `sparse_plan` are made anew at each
    access, so keep what is used twice. Results can be pickled and copied.
    """

    value: float
    potential_a: FloatArray
    potential_b: FloatArray
    converged: bool
    n_iter: int
    error: float
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    coupling: Coupling

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the plan, `(n, m)`."""
        return self.coupling.shape

    @property
    def value_linear(self) -> float:
        """⟨P, C⟩. Entropic: computed at first access, in one pass over all pairs."""
        return to_scalar(self.coupling.linear_value, self.potential_a.dtype)

    @property
    def plan(self) -> FloatArray:
        """The plan P as a new dense array, `(n, m)`."""
        return self.coupling.dense()

    @property
    def sparse_plan(self) -> coo_array:
        """The plan P as a new `scipy.sparse.coo_array`; exact solvers: at most n + m − 1 entries."""
        return self.coupling.sparse()

    def apply(self, v: ArrayLike) -> FloatArray:
        """Multiply the plan by a vector or matrix, without making a dense plan.

        Parameters
        ----------
        v : array_like, shape (m,) or (m, k)

        Returns
        -------
        ndarray, shape (n,) or (n, k)
            P v.
        """
        return self.coupling.apply(_factor("v", v, self.shape[1]))

    def apply_transpose(self, u: ArrayLike) -> FloatArray:
        """Multiply the transposed plan by a vector or matrix, without making a dense plan.

        Parameters
        ----------
        u : array_like, shape (n,) or (n, k)

        Returns
        -------
        ndarray, shape (m,) or (m, k)
            Pᵀ u.
        """
        return self.coupling.apply_transpose(_factor("u", u, self.shape[0]))

    def barycentric_projection(self, y: ArrayLike) -> FloatArray:
        """Map every row to the mean of where its mass goes.

        Parameters
        ----------
        y : array_like, shape (m, d) or (m,)
            Points of the columns.

        Returns
        -------
        ndarray, shape (n, d) or (n,)
            (1/a_i) Σ_j P_ij y_j. A row of zero weight goes nowhere, and its projection is NaN.
        """
        points = _factor("y", y, self.shape[1])
        images = self.coupling.apply(points)
        weights = self.a.astype(images.dtype)
        weights[weights == 0.0] = np.nan
        return images / (weights if images.ndim == 1 else weights[:, None])

    @property
    def gradient_a(self) -> FloatArray:
        """The derivative of `value` in `a`: the potential f, shifted so that ⟨f, a⟩ = 0.

        The shift is arbitrary as long as the total mass stays, and `gradient_b` is shifted the other way: the
        two together are also right where both totals change.
        """
        return self.potential_a - self._mean_potential()

    @property
    def gradient_b(self) -> FloatArray:
        """The derivative of `value` in `b`: the potential g, shifted against the shift of `gradient_a`."""
        return self.potential_b + self._mean_potential()

    @property
    def gradient_cost(self) -> FloatArray:
        """The derivative of `value` in the cost matrix: the plan."""
        return self.plan

    def _mean_potential(self) -> np.floating[Any]:
        mean = np.dot(self.potential_a, self.a) / np.sum(self.a)
        return self.potential_a.dtype.type(mean)

    def __repr__(self) -> str:
        n, m = self.shape
        n_atoms = self.coupling.n_atoms
        atoms = "" if n_atoms is None else f"atoms={n_atoms}, "
        return (
            f"{type(self).__name__}(value={self.value:.6g}, error={self.error:.1e}, shape={n} x {m}, "
            f"{atoms}converged={self.converged}, n_iter={self.n_iter})"
        )


def to_scalar(value: float, dtype: np.dtype[np.floating[Any]]) -> float:
    """Return a Python float in double precision, which is what it is, and a NumPy scalar in single."""
    return float(value) if dtype == np.float64 else np.float32(value)  # type: ignore[return-value]


def _factor(name: str, value: ArrayLike, size: int) -> FloatArray:
    factor = as_array(name, value)
    if factor.ndim not in (1, 2) or factor.shape[0] != size:
        raise ValueError(f"{name} must have shape ({size},) or ({size}, k), but its shape is {factor.shape}")
    return factor
