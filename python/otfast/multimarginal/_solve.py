"""Exact multi-marginal transport."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._entropic_validation import LARGEST_RATIO, check_masses
from otfast._validation import check_choice, check_count, check_real
from otfast.errors import ConvergenceWarning, InfeasibleError
from otfast.multimarginal._arguments import balance, check_problem
from otfast.multimarginal._column_generation import Found, generate_columns, rounding_scale, solve_all
from otfast.multimarginal._comonotone import comonotone_plan, staircase_potentials
from otfast.multimarginal._factorised import is_forest
from otfast.multimarginal._gluing import solve_forest
from otfast.multimarginal._result import MultiTransport, SparseMultiCoupling
from otfast.multimarginal._sinkhorn import sinkhorn
from otfast.multimarginal.cost import BarycenterCost, MultiCost, SpreadCost, TensorCost
from otfast.multimarginal.pairwise import PairwiseCost
from otfast.progress import Progress, Reporter
from otfast.result import to_scalar

__all__ = ["solve"]

_Array = NDArray[np.float64]

_METHODS = ("auto", "lp", "column-generation")

#: Masses from which on the range of the costs is looked at before any work. That may take many tuples, which
#: plans on trees and on the line do without.
_HEAVY = 1e30

#: Tuples up to which the whole program goes to HiGHS.
_MOST_TUPLES = 20_000

#: Entropic potentials to start from: the temperature, as a share of the spread of the costs, and iterations.
_WARM, _WARM_ITERATIONS = 1e-4, 300


def solve(
    marginals: Sequence[ArrayLike | None],
    cost: ArrayLike | MultiCost,
    *,
    method: str = "auto",
    tol: float = 1e-9,
    max_iter: int = 1000,
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
) -> MultiTransport:
    r"""Solve a transport problem between K measures exactly.

    .. math:: \min_{P \ge 0} \langle P, C \rangle \quad \text{subject to} \quad P_k = a_k \text{ for all } k,

    where P_k is the k-th marginal of P.

    Parameters
    ----------
    marginals : sequence of K array_like or None, shapes (n_k,)
        The weights a_k, not negative; None means 1/n_k each. The totals must agree to a relative 1e-6 (1e-4
        if a marginal or the cost is `float32`); the rest of the difference is removed by rescaling.
    cost : array_like, shape (n_0, …, n_{K−1}), or MultiCost
        The tensor C, ``+inf`` where a tuple is forbidden, or a structured cost.
    method : {"auto", "lp", "column-generation"}, default "auto"
        ``"lp"``: the linear program on all tuples. ``"column-generation"``: on a growing set of them, found
        by `MultiCost.price`. ``"auto"``: a `PairwiseCost` on a forest is solved edge by edge; `SpreadCost`,
        and `BarycenterCost` on the line, by the comonotone plan; up to 20 000 tuples by the program, others
        by column generation.
    tol : float, default 1e-9
        The relative duality gap at which column generation stops.
    max_iter : int, default 1000
        Largest number of its rounds.
    callback : callable, optional
        Called with a `Progress` after each round, and at the end; returning True stops the solver.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    MultiTransport
        A plan of at most Σ n_k − K + 1 tuples, and potentials with ⊕f_k ≤ C for all tuples, which prove that
        it is optimal up to `error`.

    Raises
    ------
    ValueError
        If an argument is malformed, or the tensor is needed and does not fit into memory.
    InfeasibleError
        If every plan uses a forbidden tuple.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or the callback ends the work early; the plan is feasible then, and `error` its gap.

    Notes
    -----
    On a forest the time is that of `otfast.emd` on every edge, and on the line that of sorting: K and n may
    be large. A round of column generation takes two passes over the tuples, or on a `PairwiseCost` of
    treewidth w one over those of its cliques, O(K n^{w+1}), and a linear program whose size grows by Σ n_k
    columns; HiGHS looks at Ctrl-C only when it is done with one. A subclass of `MultiCost` with a `price` of
    its own solves problems whose tuples cannot be enumerated.

    References
    ----------
    .. [1] Gangbo and Świȩch, "Optimal maps for the multidimensional Monge-Kantorovich problem", 1998.
    .. [2] Bein, Brucker, Park and Pathak, "A Monge property for the d-dimensional transportation problem",
       1995: theorems 2.1 and 4.1.
    .. [3] Lübbecke and Desrosiers, "Selected topics in column generation", 2005: section 2.1.

    Examples
    --------
    >>> from otfast import multimarginal
    >>> cost = multimarginal.BarycenterCost([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    >>> result = multimarginal.solve([None, [0.25, 0.75], None], cost)
    >>> result.sparse_plan.nnz, round(result.value, 4)
    (3, 0.5556)
    >>> result.pair_marginal(0, 1)
    array([[0.25, 0.25],
           [0.  , 0.5 ]])
    """
    weights, totals, is_single, checked = check_problem(marginals, cost)
    weights = balance(weights, totals, is_single, range(checked.ndim))
    check_choice("method", method, _METHODS)
    tol = check_real("tol", tol, 0.0)
    max_iter = check_count("max_iter", max_iter)
    if max(totals) > _HEAVY:
        check_masses("marginals", totals, checked.bounds(), 0.0, checked.dtype)
    with Reporter(callback, progress, "multimarginal.solve") as reporter:
        found = _solve(checked, weights, method, tol, max_iter, reporter)
        entries = checked.entries(found.tuples).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            value = float(found.mass @ entries)
        check_masses("marginals", totals, (0.0, value / totals[0]), 0.0, checked.dtype)
        error = (value - found.lower_bound) / max(abs(value), rounding_scale(found.potentials, weights))
        if reporter.monitor is not None:
            reporter.finish(found.n_iter, error, to_scalar(value, checked.dtype))
    converged = not found.stopped and error <= max(tol, 1e-9)
    if not converged:
        cause = "by the callback" if found.stopped else "at max_iter"
        warnings.warn(
            f"column generation stopped {cause} with a gap of {error:.1e}, above tol = {tol:.1e}",
            ConvergenceWarning,
            stacklevel=2,
        )
    return MultiTransport(
        value=to_scalar(value, checked.dtype),
        potentials=tuple(f.astype(checked.dtype) for f in found.potentials),
        converged=converged,
        n_iter=found.n_iter,
        error=error,
        marginals=tuple(weights),
        coupling=SparseMultiCoupling(
            checked.shape, found.tuples, found.mass.astype(checked.dtype, copy=False), value
        ),
    )


def _solve(
    cost: MultiCost, marginals: list[_Array], method: str, tol: float, max_iter: int, reporter: Reporter
) -> Found:
    if method == "auto":
        if isinstance(cost, TensorCost) and cost.ndim == 2:
            cost = PairwiseCost(2, {(0, 1): cost.unfold(1)})
        if isinstance(cost, PairwiseCost) and is_forest(cost):
            tuples, mass, potentials, n_iter = solve_forest(cost, marginals, reporter.listener)
            return Found(tuples, mass, potentials, n_iter, _dual(potentials, marginals), False)
        positions = line_of(cost)
        if positions is not None:
            return _solve_on_line(cost, positions, marginals)
        method = "lp" if math.prod(cost.shape) <= _MOST_TUPLES else "column-generation"
    if method == "lp":
        return solve_all(cost, marginals)

    def report(n_iter: int, error: float, value: float) -> bool:
        return reporter.monitor is not None and reporter.monitor(n_iter, error, value)

    return generate_columns(cost, marginals, _warm_start(cost, marginals), tol, max_iter, report)


def line_of(cost: MultiCost) -> list[_Array] | None:
    """Return the points of a cost that is submodular on the line, None for others."""
    if isinstance(cost, SpreadCost):
        return [x.astype(np.float64) for x in cost.points]
    if isinstance(cost, BarycenterCost) and cost.points[0].shape[1] == 1:
        return [x[:, 0].astype(np.float64) for x in cost.points]
    return None


def _solve_on_line(cost: MultiCost, positions: list[_Array], marginals: list[_Array]) -> Found:
    orders = [np.argsort(x, kind="stable") for x in positions]
    steps, mass = comonotone_plan([a[order] for a, order in zip(marginals, orders, strict=True)])
    tuples = np.stack([order[i] for order, i in zip(orders, steps.T, strict=True)], axis=1)
    along = staircase_potentials(steps, lambda _: cost.entries(tuples))
    potentials = [np.empty_like(f) for f in along]
    for f, order, sorted_f in zip(potentials, orders, along, strict=True):
        f[order] = sorted_f
    kept = mass > 0.0
    return Found(tuples[kept], mass[kept], potentials, len(mass), _dual(potentials, marginals), False)


def _warm_start(cost: MultiCost, marginals: list[_Array]) -> list[_Array]:
    low, high = cost.bounds()
    epsilon = _WARM * (high - low)
    # Who prices without looking at all tuples may not be able to.
    if epsilon * LARGEST_RATIO < 1.0 or type(cost).price not in (MultiCost.price, PairwiseCost.price):
        return [np.zeros(a.size) for a in marginals]
    try:
        # The mass is a constant in the potentials.
        shares = [a / a.sum() for a in marginals]
        start = sinkhorn(shares, cost, epsilon, tol=0.0, max_iter=_WARM_ITERATIONS)
    except InfeasibleError:
        raise InfeasibleError(
            "a point of positive mass has only forbidden tuples, those of cost +inf"
        ) from None
    return [f.astype(np.float64) for f in start.potentials]


def _dual(potentials: Sequence[_Array], marginals: Sequence[_Array]) -> float:
    return sum(float(f @ a) for f, a in zip(potentials, marginals, strict=True))
