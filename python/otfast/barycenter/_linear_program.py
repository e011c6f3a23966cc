"""The linear program of a barycenter as HiGHS reads it: small problems, few pairs of large ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

from otfast.cost import Cost
from otfast.errors import InfeasibleError

__all__ = ["Pairs", "ProgramSolution", "all_pairs", "linear_program"]

_Array = NDArray[np.float64]

#: Of HiGHS, on costs and weights of the size of 1.
_TOLERANCE = 1e-10

#: Seconds after which HiGHS gives up: also where a call that was interrupted left it behind.
_TIME_LIMIT = 60.0

#: Seconds between two looks for an interrupt.
_PERIOD = 0.05

#: As SciPy numbers them.
_OPTIMAL, _INFEASIBLE = 0, 2


class Pairs(NamedTuple):
    """Pairs (i, j) on which a plan may put mass, and their costs."""

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    costs: _Array


class ProgramSolution(NamedTuple):
    """What HiGHS found."""

    weights: _Array
    """The barycenter, `(n,)`, of the mass of the measures."""
    f: _Array
    """Potentials of the barycenter's side, `(K, n)`."""
    g: list[_Array]
    """Potentials of the measures' sides, `(m_k,)`: f_k(i) + g_k(j) ≤ C_k(i, j) for these pairs."""
    value: float
    """Σ_k λ_k ⟨P_k, C_k⟩."""


def all_pairs(cost: Cost, b: _Array) -> Pairs:
    """Return all pairs that are not forbidden and whose column has mass."""
    entries = cost.dense().astype(np.float64, copy=False)
    rows, cols = np.nonzero(np.isfinite(entries) & (b > 0.0))
    return Pairs(rows, cols, entries[rows, cols])


def linear_program(
    measures: Sequence[_Array], pairs: Sequence[Pairs], n: int, weights: _Array
) -> ProgramSolution | None:
    r"""Solve a barycenter's linear program on given pairs.

    .. math:: \min_{w, P_k \ge 0} \sum_k \lambda_k \langle P_k, C_k \rangle \quad \text{subject to} \quad
        P_k 1 = w, \; P_k^\top 1 = b_k,

    whose dual is max Σ_k λ_k ⟨g_k, b_k⟩ subject to f_k ⊕ g_k ≤ C_k and Σ_k λ_k f_k ≥ 0.

    Parameters
    ----------
    measures : sequence of ndarray, shapes (m_k,)
        The histograms b_k, of one total mass.
    pairs : sequence of Pairs
        Where the plans may put mass, none of it in columns without mass.
    n : int
        The number of points of the barycenter.
    weights : ndarray, shape (K,)
        The λ_k, all positive.

    Returns
    -------
    ProgramSolution or None
        A vertex of the feasible set, good to the tolerances of HiGHS; None where it gave up.

    Raises
    ------
    InfeasibleError
        If no plans use these pairs only.

    Notes
    -----
    Time and memory are those of a sparse linear program with Σ_k (n + m_k) rows and as many columns as pairs.

    References
    ----------
    .. [1] Anderes, Borgwardt and Miller, "Discrete Wasserstein barycenters: optimal transport for discrete
       data", 2016: the program, section 2.
    .. [2] Huangfu and Hall, "Parallelizing the dual revised simplex method", 2018: HiGHS.
    """
    unit = float(measures[0].sum()) / n
    scale = max((float(np.abs(part.costs).max(initial=0.0)) for part in pairs), default=0.0) or 1.0
    points = np.arange(n)
    rows, cols, signs = [], [], []
    right = []
    first_row, first_col = 0, n
    for b, part in zip(measures, pairs, strict=True):
        places = first_col + np.arange(part.rows.size)
        rows += [first_row + points, first_row + part.rows, first_row + n + part.cols]
        cols += [points, places, places]
        signs += [np.full(n, -1.0), np.ones(places.size), np.ones(places.size)]
        right += [np.zeros(n), b / unit]
        first_row += n + b.size
        first_col += places.size
    matrix = sparse.csr_array(
        (np.concatenate(signs), (np.concatenate(rows), np.concatenate(cols))), shape=(first_row, first_col)
    )
    costs = [weight / scale * part.costs for weight, part in zip(weights, pairs, strict=True)]
    found = _interruptible(
        partial(
            linprog,
            np.concatenate([np.zeros(n), *costs]),
            A_eq=matrix,
            b_eq=np.concatenate(right),
            method="highs",
            options={
                "primal_feasibility_tolerance": _TOLERANCE,
                "dual_feasibility_tolerance": _TOLERANCE,
                "time_limit": _TIME_LIMIT,
            },
        )
    )
    if found.status == _INFEASIBLE:
        raise InfeasibleError("no plans between a barycenter and the measures avoid the forbidden pairs")
    if found.status != _OPTIMAL:
        return None
    f = np.empty((len(measures), n))
    g = []
    at = 0
    for k, (b, weight) in enumerate(zip(measures, weights, strict=True)):
        duals = found.eqlin.marginals[at : at + n + b.size] * (scale / weight)
        f[k] = duals[:n]
        g.append(duals[n:])
        at += duals.size
    return ProgramSolution(np.maximum(found.x[:n], 0.0) * unit, f, g, found.fun * scale * unit)


def _interruptible(work: Callable[[], Any]) -> Any:
    """Call `work`, which does not listen to Ctrl-C, in a thread that is left alone on an interrupt."""
    outcome: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_PERIOD)
    if errors:
        raise errors[0]
    return outcome[0]
