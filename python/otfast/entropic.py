"""Entropic transport: Sinkhorn's problem between two measures, on every cost, at every temperature."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._batch import Problems, TransportBatch, check_problems
from otfast._divergence import Divergence, sinkhorn_divergence
from otfast._entropic_result import (
    STATUSES,
    UnbalancedTransport,
    check_batch_status,
    check_status,
    make_transport,
    needs_double,
)
from otfast._entropic_solve import is_cold, solve, temper, unit_of_mass, value_of_mass
from otfast._entropic_validation import (
    LARGEST_RATIO,
    check_epsilon,
    check_masses,
    check_tol,
    check_unbalanced,
    is_balanced,
)
from otfast._semidiscrete import SemiDiscrete
from otfast._semidual import semidual
from otfast._stochastic import sinkhorn_stochastic
from otfast._unrolled import Unrolled, sinkhorn_unrolled
from otfast._validation import (
    FloatArray,
    as_array,
    balance_weights,
    check_choice,
    check_count,
    check_finite,
    check_weights,
)
from otfast.cost import Cost, DenseCost, as_cost
from otfast.progress import Progress, Reporter
from otfast.result import Transport

if TYPE_CHECKING:
    from otfast._core import _SinkhornBatchResult, _SinkhornResult

__all__ = [
    "Divergence",
    "SemiDiscrete",
    "UnbalancedTransport",
    "Unrolled",
    "semidual",
    "sinkhorn",
    "sinkhorn_batch",
    "sinkhorn_divergence",
    "sinkhorn_stochastic",
    "sinkhorn_unrolled",
]

_FLOAT32 = np.dtype(np.float32)
_METHODS = ("auto", "log", "stabilized", "newton")

_Callback = Callable[[Progress], Any]


def sinkhorn(
    a: ArrayLike | None,
    b: ArrayLike | None,
    C: ArrayLike | Cost,
    epsilon: float,
    *,
    tol: float | None = None,
    max_iter: int = 10_000,
    method: str = "auto",
    init: tuple[ArrayLike, ArrayLike] | None = None,
    unbalanced: float | tuple[float, float] | None = None,
    callback: _Callback | None = None,
    progress: bool = False,
) -> Transport:
    r"""Solve an entropic transport problem.

    .. math:: \min_{P \ge 0} \langle P, C \rangle + \varepsilon \, \mathrm{KL}(P \mid a \otimes b)
        \quad \text{subject to} \quad P 1 = a, \; P^\top 1 = b,

    with KL(P | Q) = Σ P log(P/Q) − P + Q; the solution is P_ij = a_i b_j exp((f_i + g_j − C_ij)/ε). With
    `unbalanced`, the constraints become penalties ρ_a KL(P1 | a) + ρ_b KL(Pᵀ1 | b).

    Parameters
    ----------
    a : array_like, shape (n,), or None
        Weights of the rows, not negative; None means 1/n each.
    b : array_like, shape (m,), or None
        Weights of the columns, not negative; None means 1/m each. Balanced: its total must agree with that of
        `a` to a relative 1e-6 (1e-4 if `a`, `b` or `C` is `float32`); the rest of the difference is removed
        by rescaling `b`.
    C : array_like, shape (n, m), or Cost
        Cost of a unit of mass from i to j; ``+inf`` forbids a pair. `PointCloud`, `Grid` and `LowRankCost`
        are never stored.
    epsilon : float
        The temperature ε > 0, in units of the cost.
    tol : float, optional
        The error at which to stop, see `Transport.error`; 1e-6 by default, 1e-5 for a `float32` cost. With 0,
        exactly `max_iter` iterations are made.
    max_iter : int, default 10_000
        Largest number of iterations: passes over all pairs, and such on the factors of a `LowRankCost`.
    method : {"auto", "log", "stabilized", "newton"}, default "auto"
        ``"log"``: Sinkhorn's iterations in the log domain. ``"stabilized"``: the same on a kernel in memory,
        made anew when the scalings have moved far; needs 4 n m bytes. ``"newton"``: Newton's method on the
        semi-dual, which needs few passes at any temperature. ``"auto"``: iterations for ε above 1/20 of the
        spread of the costs, in memory where C is an array; Newton's method below, and there below 1/150 it
        starts from the potentials of the exact problem. Unbalanced: Newton's method, but iterations where
        ρ is so small beside ε that they contract by 0.6 at least, on a `Grid` by 0.999. A `LowRankCost` is
        solved on factors of its kernel first where that pays, see below.
    init : (f, g), optional
        Potentials, of shapes `(n,)` and `(m,)`, to start from: those of a similar problem.
    unbalanced : float or (float, float), optional
        The price ρ > 0 of a deviation from the marginals, or one for each of them; ``inf`` keeps one exact.
    callback : callable, optional
        Called with a `Progress` at least every 0.1 s and at the end; returning True stops the solver.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    Transport
        Potentials, and a plan that is made from them on demand. `value` is that of the dual, which is the
        optimal value up to the square of the error.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.
    InfeasibleError
        If a row or a column of positive mass has only forbidden pairs.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or the callback ends the work early; `error` tells how far it came.

    Notes
    -----
    An iteration takes one exponential for each pair, in the precision of the cost (in double precision where
    exponents C/ε of a `float32` cost range over more than 350). Memory beyond the cost is O(n + m) for
    ``"log"``, 4 n m bytes for ``"stabilized"``, and for ``"newton"`` that of the entries of P that matter,
    or 2 n m bytes where C is an array and most of them do. All threads share the passes over large problems.
    Results do not depend on their number beyond rounding.

    The kernel exp(−C/ε) of a `LowRankCost` is, up to what potentials absorb, a sum of t products of functions
    of i and of j, and few of them do if ε is not small beside the centred cost, of centred factors. There an
    iteration takes O((n + m) t) [5]_ [6]_. ``"auto"`` makes use of that if the sum is provably positive and
    right to 1e-3 in every entry, which ends where the centred cost ranges over about ±10 ε, if there are 2²²
    pairs or more, and if t is at most n m / 16 (n + m), or up to four times that in the cold; memory is then
    8 (n + m) t bytes, 512 MiB at most. Passes over all pairs follow: one checks the solution (two if
    unbalanced), so `value` and `error` are those of C, and more are made if it needs them. The logger
    ``"otfast"`` tells at level ``INFO`` how many terms and iterations that took, or why factors are not used.

    References
    ----------
    .. [1] Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", 2013.
    .. [2] Peyré and Cuturi, "Computational Optimal Transport", 2019: the dual (4.30), iterations in the log
       domain (4.43), the semi-dual in section 5.
    .. [3] Chizat, Peyré, Schmitzer and Vialard, "Scaling algorithms for unbalanced optimal transport
       problems", 2018: table 1.
    .. [4] Brauer, Clason, Lorenz and Wirth, "A Sinkhorn-Newton method for entropic optimal transport", 2017.
    .. [5] Altschuler, Bach, Rudi and Niles-Weed, "Massively scalable Sinkhorn distances via the Nyström
       method", 2019: scalings of a kernel of low rank.
    .. [6] Scetbon and Cuturi, "Linear time Sinkhorn divergences using positive features", 2020.

    Examples
    --------
    >>> import otfast as otf
    >>> result = otf.sinkhorn([0.5, 0.5], [0.25, 0.75], [[0.0, 1.0], [2.0, 0.0]], epsilon=0.1)
    >>> result.plan.round(4)
    array([[0.25, 0.25],
           [0.  , 0.5 ]])
    >>> round(result.value, 4)
    0.2716
    """
    cost = as_cost(C)
    n, m = cost.shape
    weights_a, total_a, single_a = check_weights("a", a, n)
    weights_b, total_b, single_b = check_weights("b", b, m)
    rho = check_unbalanced(unbalanced)
    if is_balanced(rho):
        is_single = single_a or single_b or cost.dtype == _FLOAT32
        weights_b = balance_weights(weights_b, total_a, total_b, is_single)
    epsilon = check_epsilon(epsilon, cost.bounds(), cost.dtype)
    check_masses("a and b", (total_a, total_b), cost.bounds(), epsilon, cost.dtype)
    check_choice("method", method, _METHODS)
    tol = check_tol(tol, cost.dtype)
    max_iter = check_count("max_iter", max_iter)
    start = None if init is None else _check_init(init, n, m, epsilon)

    with Reporter(callback, progress, "sinkhorn") as reporter:
        raw, wide = solve(
            cost,
            weights_a,
            weights_b,
            epsilon,
            rho,
            method,
            tol,
            max_iter,
            start,
            reporter.monitor,
            reporter.listener,
        )
        if reporter.monitor is not None and raw["status"] != "infeasible":
            reporter.finish(raw["n_iter"], raw["error"], raw["value"])
    check_status(raw["status"], tol, raw["error"])
    return make_transport(raw, cost, weights_a, weights_b, epsilon, rho, wide)


def sinkhorn_batch(
    A: ArrayLike | None,
    B: ArrayLike | None,
    C: ArrayLike | Cost,
    epsilon: float,
    *,
    tol: float | None = None,
    max_iter: int = 10_000,
    method: str = "auto",
    unbalanced: float | tuple[float, float] | None = None,
    callback: _Callback | None = None,
    progress: bool = False,
) -> TransportBatch:
    """Solve many entropic transport problems of one size, in parallel.

    Problem k is ``sinkhorn(A[k], B[k], C[k], epsilon)``, or ``sinkhorn(A[k], B[k], C, epsilon)`` where the
    cost is common to all.

    Parameters
    ----------
    A : array_like, shape (k, n), or None
        Weights of the rows; None means 1/n each.
    B : array_like, shape (k, m), or None
        Weights of the columns; None means 1/m each. Totals must agree as in `sinkhorn`.
    C : array_like, shape (n, m) or (k, n, m), or Cost
        Costs, one for all problems or one for each. A cost object is one for all, and is made dense.
    epsilon, tol, max_iter, method, unbalanced
        As in `sinkhorn`, for each problem.
    callback : callable, optional
        Called with a `Progress` that counts solved problems, as in `sinkhorn`.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    TransportBatch
        A sequence of `Transport`, with the attributes `value`, `converged`, `n_iter` and `error` as arrays.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.
    InfeasibleError
        If a row or a column of positive mass of some problem has only forbidden pairs.

    Warns
    -----
    ConvergenceWarning
        Once, if `max_iter` or the callback ends some of the work early.

    Notes
    -----
    Each problem runs on one thread. Costs and weights are not copied.

    Examples
    --------
    >>> import otfast as otf
    >>> batch = otf.sinkhorn_batch([[1.0, 0.0], [0.5, 0.5]], None, [[0.0, 1.0], [2.0, 0.0]], epsilon=0.1)
    >>> batch.value.round(4)
    array([0.5   , 0.0693])
    >>> batch[0].plan.round(4)
    array([[0.5, 0.5],
           [0. , 0. ]])
    """
    rho = check_unbalanced(unbalanced)
    problems = check_problems(A, B, C, balanced=is_balanced(rho))
    low, high = problems.bounds
    epsilon = check_epsilon(epsilon, problems.bounds, problems.dtype)
    masses = problems.a.sum(axis=1), problems.b.sum(axis=1)
    heaviest = [float(mass.max()) for mass in masses]
    check_masses("A and B", heaviest, problems.bounds, epsilon, problems.dtype)
    check_choice("method", method, _METHODS)
    tol = check_tol(tol, problems.dtype)
    max_iter = check_count("max_iter", max_iter)
    kept = temper(epsilon, problems.bounds, rho)
    wide = needs_double(problems.dtype, high - low, kept)
    unit = unit_of_mass(masses[0], rho, kept < epsilon)
    a, b = problems.a, problems.b
    if (unit != 1.0).any():
        a, b = a / unit[:, None], b / unit[:, None]
    with Reporter(callback, progress, "sinkhorn_batch") as reporter:
        start = None
        if is_cold(method, epsilon, high - low, min(rho)):
            balanced_b = b * (a.sum(axis=1) / b.sum(axis=1))[:, None]
            exact = _core.emd_batch(problems.costs, a, balanced_b, "automatic", 1e-12, -1, reporter.listener)
            start = exact["potential_b"]
            start[~np.isfinite(start).all(axis=1)] = 0.0
        raw = _core.sinkhorn_batch(
            problems.costs,
            a,
            b,
            kept,
            method,
            tol,
            max_iter,
            *rho,
            start,
            wide,
            reporter.monitor,
        )
        if (unit != 1.0).any():
            raw["potential_a"] = raw["potential_a"] - epsilon * np.log(unit)[:, None]
            raw["value"] = value_of_mass(raw["value"], unit, epsilon)
        batch = EntropicBatch(raw, problems, epsilon, rho, wide)
        infeasible = raw["status"] == STATUSES.index("infeasible")
        if reporter.monitor is not None and not infeasible.any():
            reporter.finish(len(batch), float(batch.error.max()), float(batch.value.sum()))
    check_batch_status(raw["status"], tol, raw["error"])
    return batch


class EntropicBatch(TransportBatch):
    """What `sinkhorn_batch` returns."""

    def __init__(
        self,
        raw: _SinkhornBatchResult,
        problems: Problems,
        epsilon: float,
        rho: tuple[float, float],
        wide: bool,
    ) -> None:
        super().__init__(problems)
        self._raw = raw
        self._epsilon = epsilon
        self._rho = rho
        self._wide = wide

    def _make(self, k: int) -> Transport:
        raw = self._raw
        problem: _SinkhornResult = {
            "status": STATUSES[raw["status"][k]],
            "potential_a": raw["potential_a"][k],
            "potential_b": raw["potential_b"][k],
            "value": float(raw["value"][k]),
            "error": float(raw["error"][k]),
            "n_iter": int(raw["n_iter"][k]),
        }
        cost = DenseCost(self._problems.cost(k))
        a, b = self._problems.a[k], self._problems.b[k]
        return make_transport(problem, cost, a, b, self._epsilon, self._rho, self._wide)

    @property
    def value(self) -> FloatArray:
        """The optimal values, `(k,)`."""
        return self._raw["value"].astype(self._problems.dtype)

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Which problems reached their tolerance, `(k,)`."""
        converged: NDArray[np.bool_] = self._raw["status"] == STATUSES.index("optimal")
        return converged

    @property
    def n_iter(self) -> NDArray[np.int64]:
        """The numbers of iterations, `(k,)`."""
        return self._raw["n_iter"].copy()

    @property
    def error(self) -> NDArray[np.float64]:
        """The larger of the L1 violations of the marginals, relative to the mass, `(k,)`."""
        return self._raw["error"].copy()


def _check_init(init: tuple[ArrayLike, ArrayLike], n: int, m: int, epsilon: float) -> NDArray[np.float64]:
    """Check both potentials; those of the columns determine those of the rows."""
    if not isinstance(init, tuple | list) or len(init) != 2:
        raise ValueError(f"init must be a pair of potentials (f, g), not {init!r}")
    f, g = (as_array(f"init[{k}]", potential) for k, potential in enumerate(init))
    if f.shape != (n,) or g.shape != (m,):
        raise ValueError(f"init must have shapes ({n},) and ({m},), but they are {f.shape} and {g.shape}")
    check_finite("init[0]", f)
    check_finite("init[1]", g)
    start: NDArray[np.float64] = g.astype(np.float64, copy=False)
    if not np.abs(start).max() < LARGEST_RATIO * epsilon:
        raise ValueError(
            f"init[1] is too large for epsilon = {epsilon:g}: their ratio exceeds the range of float64"
        )
    return start
