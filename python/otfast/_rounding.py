"""From an entropic plan to a feasible one, with bounds of the exact optimum on both sides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from otfast import _core
from otfast._entropic_result import EntropicCoupling
from otfast._metric import Metric
from otfast._validation import FloatArray
from otfast.cost import Cost
from otfast.result import Transport, to_scalar

if TYPE_CHECKING:
    from scipy.sparse import coo_array

_Array = NDArray[np.float64]

#: The violation of a marginal that sums leave, in units of the precision.
_ROUNDING = 64.0


@dataclass(frozen=True, eq=False)
class RoundedCoupling:
    """The plan diag(s) P diag(t) + r cᵀ: an entropic one with smaller weights, and what they lack."""

    scaled: EntropicCoupling
    """The plan of the weights s a and t b."""
    r: _Array
    c: _Array

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the plan, `(n, m)`."""
        return self.scaled.shape

    @property
    def n_atoms(self) -> None:
        """Not counted: nearly every pair has some mass."""
        return None

    @property
    def metric(self) -> Metric | None:
        """The metric of the cost, if it has one."""
        return self.scaled.metric

    def rows(self, i0: int, i1: int) -> FloatArray:
        """Return the rows ``P[i0:i1]``."""
        rows = self.scaled.rows(i0, i1)
        rows += np.outer(self.r[i0:i1], self.c).astype(rows.dtype, copy=False)
        return rows

    def dense(self) -> FloatArray:
        """Return the plan as an array."""
        return self.rows(0, self.shape[0])

    def sparse(self) -> coo_array:
        """Return the plan as a sparse array of the entries that are not zero in floating point."""
        return sparse.coo_array(self.dense())

    def apply(self, v: FloatArray) -> FloatArray:
        """Return P v for `v` `(m,)` or `(m, k)`."""
        product = self.scaled.apply(v)
        return product + np.multiply.outer(self.r, self.c @ v).astype(product.dtype, copy=False)

    def apply_transpose(self, u: FloatArray) -> FloatArray:
        """Return Pᵀ u for `u` `(n,)` or `(n, k)`."""
        product = self.scaled.apply_transpose(u)
        return product + np.multiply.outer(self.c, self.r @ u).astype(product.dtype, copy=False)

    @cached_property
    def linear_value(self) -> float:
        """⟨P, C⟩, +inf where r cᵀ uses a forbidden pair."""
        return self.scaled.linear_value + _core.product_value(self.scaled.cost.core, self.r, self.c)


def round_plan(result: Transport) -> Transport:
    """Do what `Transport.feasible` says."""
    coupling = result.coupling
    if not isinstance(coupling, EntropicCoupling):
        return result
    rounded, violation = _round(coupling, result.a, result.b)
    f, g = _feasible_potentials(coupling.cost, coupling.potential_a, result.a, result.b)
    value = rounded.linear_value
    dual = float(f @ result.a + g @ result.b)
    scale = max(abs(value), abs(dual))
    gap = max(value - dual, 0.0)
    dtype = result.potential_a.dtype
    is_finite = bool(np.isfinite(value))
    return Transport(
        value=to_scalar(value, dtype),
        potential_a=f.astype(dtype, copy=False),
        potential_b=g.astype(dtype, copy=False),
        converged=is_finite and violation <= _ROUNDING * float(np.finfo(dtype).eps),
        n_iter=result.n_iter,
        error=(gap / scale if gap > 0.0 else 0.0) if is_finite else np.inf,
        a=result.a,
        b=result.b,
        coupling=rounded,
    )


def _round(coupling: EntropicCoupling, a: _Array, b: _Array) -> tuple[RoundedCoupling, float]:
    """Return the rounded plan, and the larger L1 violation of its marginals relative to the mass."""
    n, m = coupling.shape
    plan = replace(coupling, wide=True)
    plan = replace(plan, a=a * _shrinkage(a, plan.apply(np.ones(m))))
    sums_b = plan.apply_transpose(np.ones(n))
    t = _shrinkage(b, sums_b)
    plan = replace(plan, b=b * t)
    missing_a = a - plan.apply(np.ones(m))
    missing_b = b - t * sums_b
    # Both have the same total but for rounding, which also leaves some entries below zero.
    r, c = np.maximum(missing_a, 0.0), np.maximum(missing_b, 0.0)
    total = max(float(r.sum()), float(c.sum()))
    if total > 0.0:
        c /= total
    violations = (np.abs(missing_a - r * c.sum()).sum(), np.abs(missing_b - c * r.sum()).sum())
    return RoundedCoupling(plan, r, c), float(max(violations) / a.sum())


def _shrinkage(wanted: _Array, sums: FloatArray) -> _Array:
    """Return the factors of at most 1 that leave no sum above what is wanted."""
    too_much = sums > wanted
    return np.divide(wanted, sums, out=np.ones_like(wanted), where=too_much)


def _feasible_potentials(cost: Cost, f: _Array, a: _Array, b: _Array) -> tuple[_Array, _Array]:
    """Return c-transforms of f: points without weight do not restrict the others, and are served last."""
    g = _core.c_transform(cost.core, np.where(a > 0.0, f, -np.inf), True)
    f = _core.c_transform(cost.core, np.where(b > 0.0, g, -np.inf), False)
    # Rows and columns that are forbidden altogether restrict nothing: any number does.
    f[np.isinf(f)] = 0.0
    g = _core.c_transform(cost.core, f, True)
    g[np.isinf(g)] = 0.0
    return f, g
