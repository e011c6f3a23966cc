"""What solvers return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from otfast._metric import Metric, parse_metric, point_kernel
from otfast._validation import FloatArray, as_array, as_cloud

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

    @property
    def metric(self) -> Metric | None:
        """The metric of the cost, None where it has none."""
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
    metric: Metric | None = None
    """The metric of the cost, if it has one."""

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

        The shift is arbitrary as long as the totals stay, and `gradient_b` is shifted the other way: the two
        together are also right where both totals change (entropic: from 1, since KL has a⊗b in it, too).
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

    def gradient_x(self, x: ArrayLike, y: ArrayLike, *, metric: Metric | None = None) -> FloatArray:
        r"""Differentiate `value` in the positions of the rows, C_ij being c(x_i, y_j).

        .. math:: \partial_{x_i} \langle P, C \rangle = \sum_j P_{ij} \, \partial_x c(x_i, y_j),

        which for ``"sqeuclidean"`` is 2 (diag(P1) x − P y).

        Parameters
        ----------
        x : array_like, shape (n, d) or (n,)
            Points of the rows; a vector means points on the line.
        y : array_like, shape (m, d) or (m,)
            Points of the columns.
        metric : str or tuple, optional
            The function c, one of those of `PointCloud`. By default that of the cost, or ``"sqeuclidean"``
            for a cost that has none.

        Returns
        -------
        ndarray, shape of `x`
            The derivative, in the precision of the cost.

        Raises
        ------
        ValueError
            If points or `metric` are malformed, or do not fit each other or the plan.

        Notes
        -----
        The plan is optimal, so that its own change adds nothing, regularised or not [1]_. An exact plan may
        jump, though, and then this is one of the derivatives from a side. Where c has a kink, the part of a
        pair is a subgradient: 0 between coinciding points, which is also taken for powers below 1, 0 along
        coordinates that agree under ``"cityblock"``, and under ``"chebyshev"`` all of it along the first of
        the coordinates that are farthest apart.

        Nothing of n m is stored. ``"sqeuclidean"``, ``"mahalanobis"``, ``"bilinear"`` and ``"cosine"`` take a
        product with the plan; the others O(n m d) time for entropic plans, O((n + m) d) for exact ones.

        References
        ----------
        .. [1] Peyré and Cuturi, "Computational Optimal Transport", 2019: proposition 9.2 and section 9.1.2.

        Examples
        --------
        >>> import otfast as otf
        >>> x, y = [[0.0], [1.0]], [[2.0], [4.0]]
        >>> otf.emd(None, None, otf.PointCloud(x, y)).gradient_x(x, y)
        array([[-2.],
               [-3.]])
        """
        from otfast._metric_gradient import position_gradient  # it knows the couplings of this module

        points_x, points_y = as_cloud("x", x), as_cloud("y", y)
        for name, points, size in (("x", points_x, self.shape[0]), ("y", points_y, self.shape[1])):
            if len(points) != size:
                raise ValueError(
                    f"{name} must hold {size} points, as the plan has, but its shape is {points.shape}"
                )
        checked = parse_metric(metric) if metric is not None else self.coupling.metric or "sqeuclidean"
        point_kernel(points_x, points_y, checked)  # raises where they do not fit
        gradient = position_gradient(self.coupling, points_x, points_y, checked)
        return gradient.astype(self.potential_a.dtype, copy=False).reshape(np.shape(x))

    def feasible(self) -> Transport:
        """Round an entropic plan to one with exact marginals, and bound its distance from the exact optimum.

        Returns
        -------
        Transport
            A solution of the problem *without* regularisation: its plan P' has the marginals `a` and `b` to
            rounding, `value` is ⟨P', C⟩, never below the exact optimum, and the potentials are feasible, f_i
            + g_j ≤ C_ij for all pairs, so that ⟨f, a⟩ + ⟨g, b⟩ is never above it. `error` is the relative gap
            between the two. `converged` tells that the marginals hold. A result of an exact solver is
            returned as it is.

        Raises
        ------
        ValueError
            If the problem was unbalanced.

        Notes
        -----
        Rows of P with too much mass are scaled down, then such columns; what is missing is added as a product
        r cᵀ / Σ r [1]_. This moves at most twice the L1 violation of the marginals. The plan is kept in this
        form, in O(n + m) memory. Potentials are c-transforms of f [2]_. All takes eight passes over C.

        Where C forbids pairs, r cᵀ may use some, unless P had its marginals: then `value` and `error` are
        infinite and `converged` is False, and the potentials still bound the optimum from below.

        References
        ----------
        .. [1] Altschuler, Weed and Rigollet, "Near-linear time approximation algorithms for optimal transport
           via Sinkhorn iteration", 2017: algorithm 2, lemma 7.
        .. [2] Peyré and Cuturi, "Computational Optimal Transport", 2019: section 5.1.

        Examples
        --------
        >>> import otfast as otf
        >>> result = otf.sinkhorn([0.5, 0.5], [0.25, 0.75], [[0.0, 1.0], [2.0, 0.0]], epsilon=0.01)
        >>> bound = result.feasible()
        >>> dual_value = float(bound.potential_a @ bound.a + bound.potential_b @ bound.b)
        >>> round(dual_value, 3), round(bound.value, 3)  # the optimum is 0.25
        (0.248, 0.25)
        """
        from otfast._rounding import round_plan  # it makes a result of this module

        return round_plan(self)

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
