"""From the potentials that the entropic core returns to plans, results, errors and warnings."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from otfast import _core
from otfast._entropic_validation import is_balanced
from otfast._metric import Metric
from otfast._validation import FloatArray
from otfast.cost import Cost, Grid
from otfast.errors import ConvergenceWarning, InfeasibleError
from otfast.result import Transport, to_scalar

if TYPE_CHECKING:
    from scipy.sparse import coo_array

    from otfast._core import _SinkhornResult

_FLOAT32 = np.dtype(np.float32)

#: Exponents, in base 2, up to which single precision keeps enough digits behind the point.
_SINGLE_RANGE = 512.0

#: Temperatures, in units of the spread of the costs, up to which 1 + C/ε keeps enough digits of C.
_SINGLE_HEAT = 32.0

#: Temperatures up to which 1/ε is a normal number in single precision, with some to spare.
_SINGLE_SCALE = 1e30

#: log2(e): from natural exponents to those of base 2.
_LOG2E = 1.4426950408889634


_Array = NDArray[np.float64]
Factors = tuple[_core.Cost32 | _core.Cost64, _Array, _Array, _Array, _Array, float, bool]


@dataclass(frozen=True, eq=False)
class EntropicCoupling:
    """The plan P_ij = a_i b_j exp((f_i + g_j − C_ij)/ε): potentials and a cost, O(n + m) memory."""

    cost: Cost
    a: _Array
    b: _Array
    potential_a: _Array
    potential_b: _Array
    epsilon: float
    wide: bool
    """Whether single precision is too narrow for the exponents of a `float32` cost."""

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of P, `(n, m)`."""
        return self.cost.shape

    @property
    def n_atoms(self) -> None:
        """Not counted: every pair that is not forbidden has some mass."""
        return None

    @property
    def metric(self) -> Metric | None:
        """The metric of the cost, if it has one."""
        return self.cost.metric

    def rows(self, i0: int, i1: int) -> FloatArray:
        """Return the rows ``P[i0:i1]``."""
        return _core.plan_rows(*self._factors, i0, i1)

    def dense(self) -> FloatArray:
        """Return P as an array."""
        return self.rows(0, self.shape[0])

    def sparse(self) -> coo_array:
        """Return P as a sparse array of the entries that are not zero in floating point."""
        return sparse.coo_array(self.dense())

    def apply(self, v: FloatArray) -> FloatArray:
        """Return P v for `v` `(m,)` or `(m, k)`."""
        return self._multiply(v, transpose=False)

    def apply_transpose(self, u: FloatArray) -> FloatArray:
        """Return Pᵀ u for `u` `(n,)` or `(n, k)`."""
        return self._multiply(u, transpose=True)

    @cached_property
    def linear_value(self) -> float:
        """⟨P, C⟩; the first access passes over all pairs."""
        return _core.plan_value(*self._factors)

    def _multiply(self, x: FloatArray, *, transpose: bool) -> FloatArray:
        columns = np.ascontiguousarray(x.reshape(len(x), -1), np.float64)
        product = _core.plan_apply(*self._factors, columns, transpose)
        return product if x.ndim == 2 else product[:, 0]

    @property
    def _factors(self) -> Factors:
        return (
            self.cost.core,
            self.a,
            self.b,
            self.potential_a,
            self.potential_b,
            self.epsilon,
            self.wide,
        )


class GridCoupling(EntropicCoupling):
    """The same on a grid, axis by axis: a product with P takes N Σ n_k operations instead of N²."""

    cost: Grid

    def _multiply(self, x: FloatArray, *, transpose: bool) -> FloatArray:
        columns = np.ascontiguousarray(x.reshape(len(x), -1), np.float64)
        # The cost is symmetric, so Pᵀ is P with its factors exchanged.
        a, b, f, g = self.a, self.b, self.potential_a, self.potential_b
        factors = (b, a, g, f) if transpose else (a, b, f, g)
        product = _core.grid_apply(self.cost.axis_costs(), *factors, self.epsilon, columns)
        product = product.astype(self.cost.dtype, copy=False)
        return product if x.ndim == 2 else product[:, 0]

    @cached_property
    def linear_value(self) -> float:
        """⟨P, C⟩."""
        factors = (self.a, self.b, self.potential_a, self.potential_b)
        return _core.grid_value(self.cost.axis_costs(), *factors, self.epsilon)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class UnbalancedTransport(Transport):
    """The solution of an entropic transport problem whose marginals have a price.

    It has all of `Transport`, with other derivatives: no constant of the potentials is arbitrary here.

    Attributes
    ----------
    epsilon : float
        The temperature ε.
    rho_a, rho_b : float
        The prices of a deviation from `a` and from `b`; infinite where none is allowed.
    """

    epsilon: float
    rho_a: float
    rho_b: float

    @property
    def gradient_a(self) -> FloatArray:
        """The derivative of `value` in `a`: (ρ_a + ε)(1 − exp(−f/ρ_a)) + ε(Σ b − 1).

        It is what the divergences of the objective say where P is fixed, with P1 = a exp(−f/ρ_a); ρ_a = ∞
        leaves f + ε(Σ b − 1).
        """
        return self._weight_gradient(self.potential_a, self.rho_a, self.b)

    @property
    def gradient_b(self) -> FloatArray:
        """The derivative of `value` in `b`: the same with g, ρ_b and Σ a."""
        return self._weight_gradient(self.potential_b, self.rho_b, self.a)

    def feasible(self) -> Transport:
        """Raise `ValueError`: a plan with a price on its marginals is not meant to have them."""
        raise ValueError(
            "feasible() needs a problem with exact marginals; solve it again with unbalanced=None"
        )

    def _weight_gradient(self, potential: FloatArray, rho: float, others: _Array) -> FloatArray:
        f = potential.astype(np.float64)
        worth = f if math.isinf(rho) else -(rho + self.epsilon) * np.expm1(-f / rho)
        return (worth + self.epsilon * (others.sum() - 1.0)).astype(potential.dtype)  # type: ignore[no-any-return]


def needs_double(dtype: np.dtype[np.floating[Any]], spread: float, epsilon: float) -> bool:
    """Whether exponents C/ε of a `float32` cost range too widely for single precision, or vanish beside 1."""
    if dtype != _FLOAT32:
        return False
    if epsilon > _SINGLE_HEAT * spread:
        return True
    return spread * _LOG2E > _SINGLE_RANGE * epsilon or not 1.0 / _SINGLE_SCALE < epsilon < _SINGLE_SCALE


#: As the core numbers them.
STATUSES = ("optimal", "iteration_limit", "stopped", "infeasible")

_INFEASIBLE = (
    "a row or column of positive mass has only forbidden pairs, those of cost +inf in C, or pairs with "
    "points of no mass"
)


def make_transport(
    raw: _SinkhornResult,
    cost: Cost,
    a: _Array,
    b: _Array,
    epsilon: float,
    rho: tuple[float, float],
    wide: bool,
) -> Transport:
    """Make a result from what the core returned, in the precision of the cost."""
    dtype = cost.dtype
    coupling = GridCoupling if isinstance(cost, Grid) else EntropicCoupling
    f, g = raw["potential_a"], raw["potential_b"]
    result = Transport(
        value=to_scalar(raw["value"], dtype),
        potential_a=f.astype(dtype),
        potential_b=g.astype(dtype),
        converged=raw["status"] == "optimal",
        n_iter=raw["n_iter"],
        error=raw["error"],
        a=a,
        b=b,
        coupling=coupling(cost, a, b, f, g, epsilon, wide),
    )
    if is_balanced(rho):
        return result
    return UnbalancedTransport(**vars(result), epsilon=epsilon, rho_a=rho[0], rho_b=rho[1])


def check_status(status: str, tol: float, error: float, limit: str = "max_iter") -> None:
    """Raise where there is no plan, and warn where the work ended early, unless `tol` = 0 asked for that.

    `limit` is the name of the argument that bounds the iterations.
    """
    if status == "infeasible":
        raise InfeasibleError(_INFEASIBLE)
    if status != "optimal" and not _as_asked(status, tol):
        _warn_unconverged("the solver", status, tol, error, limit)


def check_batch_status(statuses: NDArray[np.uint8], tol: float, errors: _Array) -> None:
    """Do the same for many problems, with one warning."""
    names = [STATUSES[status] for status in statuses]
    if "infeasible" in names:
        raise InfeasibleError(f"problem {names.index('infeasible')} has no plan: {_INFEASIBLE}")
    early = [k for k, name in enumerate(names) if name != "optimal" and not _as_asked(name, tol)]
    if early:
        subject = f"{len(early)} of {len(names)} problems"
        _warn_unconverged(subject, names[early[0]], tol, float(errors[early].max()))


def _as_asked(status: str, tol: float) -> bool:
    return tol == 0.0 and status == "iteration_limit"


def _warn_unconverged(subject: str, status: str, tol: float, error: float, limit: str = "max_iter") -> None:
    cause = f"at {limit}" if status == "iteration_limit" else "by the callback"
    message = (
        f"{subject} stopped {cause} with an error of {error:.1e}, above tol = {tol:.1e}; allow more "
        "iterations, a larger tol or a larger epsilon"
    )
    warnings.warn(message, ConvergenceWarning, stacklevel=4)
