"""Entropic multi-marginal transport."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from otfast._entropic_result import check_status
from otfast._entropic_solve import temper
from otfast._entropic_validation import check_epsilon, check_masses, check_tol
from otfast._validation import check_choice, check_count
from otfast.multimarginal._acceleration import Anderson
from otfast.multimarginal._arguments import balance, check_prices, check_problem
from otfast.multimarginal._factorised import is_forest, solve_edges
from otfast.multimarginal._graph import Graph, is_complete
from otfast.multimarginal._multi_cost import MultiCost
from otfast.multimarginal._potentials import Potentials
from otfast.multimarginal._result import MultiCoupling, MultiTransport
from otfast.multimarginal._unfolded import Unfolded
from otfast.multimarginal.pairwise import PairwiseCost
from otfast.progress import Monitor, Progress, Reporter
from otfast.result import to_scalar

__all__ = ["sinkhorn"]

_METHODS = ("auto", "log")

#: Below this temperature, as a share of the spread of the costs, higher ones come first: each lower than the
#: one before by this factor, and for so many iterations.
_WARM, _COOLING, _STAGE = 0.05, 3.0, 5


class Contraction(Protocol):
    """What iterates over all potentials of a cost."""

    def tour(self, update: bool) -> tuple[float, float]:
        """Measure every marginal, and update its potential if `update`; return the error and the mass."""
        ...

    def refresh(self) -> None:
        """Forget what was computed from other potentials."""
        ...

    def settle(self) -> None:
        """Give points of no weight the potentials that maximise the dual, if they do not have them."""
        ...

    def coupling(self) -> MultiCoupling:
        """Return the plan of the potentials."""
        ...


def sinkhorn(
    marginals: Sequence[ArrayLike | None],
    cost: ArrayLike | MultiCost,
    epsilon: float,
    *,
    tol: float | None = None,
    max_iter: int = 10_000,
    free: Iterable[int] = (),
    unbalanced: float | Sequence[float] | None = None,
    method: str = "auto",
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
) -> MultiTransport:
    r"""Solve an entropic transport problem between K measures.

    .. math:: \min_{P \ge 0} \langle P, C \rangle + \varepsilon \, \mathrm{KL}(P \mid a_0 \otimes \dots
        \otimes a_{K-1}) \quad \text{subject to} \quad P_k = a_k \text{ for all } k,

    where P_k is the k-th marginal of P and KL(P | Q) = Σ P log(P/Q) − P + Q. The solution is P = ⊗a_k
    exp((⊕f_k − C)/ε).

    Parameters
    ----------
    marginals : sequence of K array_like or None, shapes (n_k,)
        The weights a_k, not negative; None means 1/n_k each. The totals must agree to a relative 1e-6 (1e-4
        if a marginal or the cost is `float32`); the rest of the difference is removed by rescaling.
    cost : array_like, shape (n_0, …, n_{K−1}), or MultiCost
        The tensor C, ``+inf`` where a tuple is forbidden, or a structured cost, whose tensor is never formed:
        `PairwiseCost`, `BarycenterCost`, `LowRankTensor`, `SpreadCost`.
    epsilon : float
        The temperature ε > 0, in units of the cost.
    tol : float, optional
        The error at which to stop, see `MultiTransport.error`; 1e-6 by default, 1e-5 for a `float32` cost.
        With 0, exactly `max_iter` iterations are made.
    max_iter : int, default 10_000
        Largest number of iterations, in each of which every potential is updated.
    free : iterable of int, default ()
        The nodes whose marginal the solver chooses; the weights a_k given for them are the reference measure
        of KL alone, and their potentials are 0.
    unbalanced : float or sequence of K floats, optional
        The price ρ_k > 0 of a deviation: ρ_k KL(P_k | a_k) takes the place of the constraint P_k = a_k.
        ``inf`` keeps a marginal exact.
    method : {"auto", "log"}, default "auto"
        ``"log"``: plain iterations in the log domain. ``"auto"``: the same with Anderson acceleration [4]_,
        at low temperature after some iterations at higher ones; the edges of a tree with exact marginals by
        the fastest method of `otfast.sinkhorn`.
    callback : callable, optional
        Called with a `Progress` at least every 0.1 s and at the end; returning True stops the solver.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    MultiTransport
        Potentials, and a plan that is reduced to its marginals on demand. `value` is that of the dual, which
        is the optimal value up to the square of the error.

    Raises
    ------
    ValueError
        If an argument is malformed, or what a contraction needs does not fit into memory; the message names
        its size and a structured alternative.
    InfeasibleError
        If a point of positive mass has only forbidden tuples.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or the callback ends the work early; `error` tells how far it came.

    Notes
    -----
    An iteration maximises the dual in one potential (or a few) after another [1]_. It takes

    - one pass over a tensor, or two where the potentials are still far off, and two passes over the tuples of
      a `BarycenterCost`, `LowRankTensor` or `SpreadCost`, in the precision of the cost; memory for the tuples
      of half of the points, and up to a tenth of a tensor, or as much again below 8 MB;
    - two passes over every edge of a `PairwiseCost` on a forest [2]_; if all marginals are exact, every edge
      is a problem of its own, which `otfast.sinkhorn` solves by whatever is fastest;
    - two products of n × n matrices for every node of a cycle, O(K n^{w+1}) time and O(n^w) memory on a graph
      of treewidth w [3]_, in double precision. On a complete graph the tensor is formed.

    Products and passes use all threads; results do not depend on their number beyond rounding.

    References
    ----------
    .. [1] Benamou, Carlier, Cuturi, Nenna and Peyré, "Iterative Bregman projections for regularized
       transportation problems", 2015: section 4.
    .. [2] Haasler, Singh, Zhang, Karlsson and Chen, "Multi-marginal optimal transport and probabilistic
       graphical models", 2021: section 3.
    .. [3] Fan, Haasler, Karlsson and Chen, "On the complexity of the optimal transport problem with
       graph-structured cost", 2022.
    .. [4] Walker and Ni, "Anderson acceleration for fixed-point iterations", 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from otfast import multimarginal
    >>> t = np.linspace(0, 1, 3)
    >>> cost = multimarginal.BarycenterCost([t, t, t])
    >>> result = multimarginal.sinkhorn([[0.5, 0.5, 0], None, [0, 0.5, 0.5]], cost, epsilon=0.01)
    >>> round(result.value, 4), result.converged
    (0.0669, True)
    >>> result.pair_marginal(0, 2).round(3)
    array([[0.  , 0.49, 0.01],
           [0.  , 0.01, 0.49],
           [0.  , 0.  , 0.  ]])
    """
    weights, totals, is_single, checked = check_problem(marginals, cost)
    rho = check_prices(unbalanced, free, checked.ndim)
    exact = [k for k, price in enumerate(rho) if math.isinf(price)]
    if exact and not any(0.0 < price < math.inf for price in rho):
        weights = balance(weights, totals, is_single, exact)
    low, high = checked.bounds()
    epsilon = check_epsilon(epsilon, (low, high), checked.dtype)
    check_masses("marginals", totals, (low, high), epsilon, checked.dtype)
    tol = check_tol(tol, checked.dtype)
    max_iter = check_count("max_iter", max_iter)
    check_choice("method", method, _METHODS)

    if len(exact) == checked.ndim and totals[0] == 1.0:
        epsilon = temper(epsilon, (low, high), (math.inf, math.inf))
    potentials = Potentials(weights, rho, epsilon)
    with Reporter(callback, progress, "multimarginal.sinkhorn") as reporter:
        watch = _Watch(reporter.monitor)
        n_iter, messages = 0, None
        if isinstance(checked, PairwiseCost) and len(exact) == checked.ndim and is_forest(checked):
            # Errors of the edges add up in the marginals far from the root.
            share = tol / max(1, len(checked.edges))
            n_iter, messages = solve_edges(checked, potentials, method, share, max_iter, watch.of_edge)
        contraction: Contraction
        if isinstance(checked, PairwiseCost) and not is_complete(checked):
            contraction = Graph(checked, potentials, watch.monitor, messages)
        else:
            contraction = Unfolded(checked, potentials, watch.monitor)
        if method != "log" and not n_iter:
            n_iter = _cool_down(contraction, potentials, high - low, max_iter, watch)
        accelerated = method != "log"
        status, n_iter, error, value = _iterate(
            contraction, potentials, tol, n_iter, max_iter, accelerated, watch
        )
        contraction.settle()
        if reporter.monitor is not None:
            reporter.finish(n_iter, error, float(to_scalar(value, checked.dtype)))
    check_status(status, tol, error)
    return MultiTransport(
        value=to_scalar(value, checked.dtype),
        potentials=tuple(f.astype(checked.dtype) for f in potentials.f),
        converged=status == "optimal",
        n_iter=n_iter,
        error=error,
        marginals=tuple(weights),
        coupling=contraction.coupling(),
    )


def _iterate(
    contraction: Contraction,
    potentials: Potentials,
    tol: float,
    n_iter: int,
    max_iter: int,
    accelerated: bool,
    watch: _Watch,
) -> tuple[str, int, float, float]:
    """Update the potentials until the plan has its marginals; return status, n_iter, error and value.

    `n_iter` iterations have been made. Within an iteration every marginal is measured when its turn comes;
    what counts is all of them at once, which takes an iteration more.
    """
    error = math.inf
    if n_iter:
        error, mass = contraction.tour(False)
        if (error <= tol and tol > 0.0) or n_iter >= max_iter:
            status = "optimal" if error <= tol else "iteration_limit"
            return status, n_iter, error, potentials.dual(mass)
    anderson = Anderson(potentials) if accelerated else None
    while n_iter < max_iter and not watch.stopped:
        error, mass = contraction.tour(True)
        n_iter += 1
        value = potentials.dual(mass)
        watch.report(n_iter, error, value)
        if error <= tol and tol > 0.0:
            error, mass = contraction.tour(False)
            if error <= tol:
                return "optimal", n_iter, error, potentials.dual(mass)
        if anderson is not None and n_iter < max_iter:
            anderson.propose(value)
            contraction.refresh()
    error, mass = contraction.tour(False)
    status = "stopped" if watch.stopped else "optimal" if error <= tol else "iteration_limit"
    return status, n_iter, min(error, float(np.finfo(np.float64).max)), potentials.dual(mass)


def _cool_down(
    contraction: Contraction, potentials: Potentials, spread: float, max_iter: int, watch: _Watch
) -> int:
    """Bring the potentials near those of a low temperature from higher ones; return the iterations made."""
    epsilon, n_iter = potentials.epsilon, 0
    stages = (
        max(0, math.ceil(math.log(_WARM * spread / epsilon, _COOLING))) if _WARM * spread > epsilon else 0
    )
    for stage in range(stages, 0, -1):
        potentials.set_temperature(epsilon * _COOLING**stage)
        contraction.refresh()
        for _ in range(_STAGE):
            if n_iter + 1 >= max_iter or watch.stopped:
                break
            error, mass = contraction.tour(True)
            n_iter += 1
            watch.report(n_iter, error, potentials.dual(mass))
    potentials.set_temperature(epsilon)
    contraction.refresh()
    return n_iter


class _Watch:
    """Where the solver stands, for those who watch it: during a contraction, what was true before it."""

    def __init__(self, monitor: Monitor | None) -> None:
        self._monitor = monitor
        self._last = (0, math.nan, math.nan)
        self.stopped = False

    @property
    def monitor(self) -> Monitor | None:
        """For contractions."""
        return None if self._monitor is None else self._again

    def report(self, iteration: int, error: float, value: float) -> None:
        """Say where the solver stands after an iteration."""
        self._last = iteration, error, value
        self._again()

    def of_edge(self, done: int) -> Monitor | None:
        """For an edge that is a problem of its own, where others took `done` iterations."""
        if self._monitor is None:
            return None

        def report(iteration: int, error: float, value: float) -> bool:
            self._last = max(done, iteration), error, value
            return self._again()

        return report

    def _again(self, *_: object) -> bool:
        if self._monitor is not None:
            self.stopped = self._monitor(*self._last) or self.stopped
        return self.stopped
