"""Entropic transport: Sinkhorn's problem between two measures, on every cost, at every temperature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._entropic_result import EntropicCoupling, check_status, needs_double
from otfast._validation import (
    as_array,
    balance_weights,
    check_choice,
    check_count,
    check_finite,
    check_real,
    check_weights,
)
from otfast.cost import Cost, DenseCost, as_cost
from otfast.progress import Progress, Reporter
from otfast.result import Transport, to_scalar

__all__ = ["sinkhorn"]

_FLOAT32 = np.dtype(np.float32)
_METHODS = ("auto", "log", "stabilized", "newton")

#: Temperatures, as shares of the spread of the costs. Above the first, plain iterations converge fast;
#: below the second, potentials of the exact problem are the better start of Newton's method.
_HOT = 1.0 / 20.0
_COLD = 1.0 / 300.0

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
        Largest number of iterations: passes over all pairs.
    method : {"auto", "log", "stabilized", "newton"}, default "auto"
        ``"log"``: Sinkhorn's iterations in the log domain. ``"stabilized"``: the same on a kernel in memory,
        made anew when the scalings have moved far; needs 4 n m bytes. ``"newton"``: Newton's method on the
        semi-dual, which needs few passes at any temperature. ``"auto"``: iterations for ε above 1/20 of the
        spread of the costs, in memory where C is an array; Newton's method below, and there below 1/300 it
        starts from the potentials of the exact problem.
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
    or 4 n m bytes where C is an array and most of them do. All threads share the passes over large problems.
    Results do not depend on their number beyond rounding.

    References
    ----------
    .. [1] Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", 2013.
    .. [2] Peyré and Cuturi, "Computational Optimal Transport", 2019: the dual (4.30), iterations in the log
       domain (4.43), the semi-dual in section 5.
    .. [3] Chizat, Peyré, Schmitzer and Vialard, "Scaling algorithms for unbalanced optimal transport
       problems", 2018: table 1.
    .. [4] Brauer, Clason, Lorenz and Wirth, "A Sinkhorn-Newton method for entropic optimal transport", 2017.

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
    rho_a, rho_b = _check_unbalanced(unbalanced)
    if math.isinf(rho_a) and math.isinf(rho_b):
        is_single = single_a or single_b or cost.dtype == _FLOAT32
        weights_b = balance_weights(weights_b, total_a, total_b, is_single)
    epsilon = _check_epsilon(epsilon, cost)
    check_choice("method", method, _METHODS)
    tol = _check_tol(tol, cost.dtype)
    max_iter = check_count("max_iter", max_iter)
    start = None if init is None else _check_init(init, n, m)

    spread = cost.spread()
    wide = needs_double(cost.dtype, spread, epsilon)
    in_memory = isinstance(cost, DenseCost)
    with Reporter(callback, progress, "sinkhorn") as reporter:
        if method == "auto":
            is_hot = epsilon >= _HOT * spread
            method = ("stabilized" if in_memory else "log") if is_hot else "newton"
            if method == "newton" and start is None and epsilon < _COLD * spread and unbalanced is None:
                start = _exact_potentials(cost, weights_a, weights_b, reporter)
        raw = _core.sinkhorn(
            cost.core,
            weights_a,
            weights_b,
            epsilon,
            method,
            tol,
            max_iter,
            rho_a,
            rho_b,
            start,
            in_memory,
            spread,
            wide,
            reporter.monitor,
        )
        if reporter.monitor is not None and raw["status"] != "infeasible":
            reporter.finish(raw["n_iter"], raw["error"], raw["value"])
    check_status(raw["status"], tol, raw["error"])
    dtype = cost.dtype
    return Transport(
        value=to_scalar(raw["value"], dtype),
        potential_a=raw["potential_a"].astype(dtype),
        potential_b=raw["potential_b"].astype(dtype),
        converged=raw["status"] == "optimal",
        n_iter=raw["n_iter"],
        error=raw["error"],
        a=weights_a,
        b=weights_b,
        coupling=EntropicCoupling(
            cost, weights_a, weights_b, raw["potential_a"], raw["potential_b"], epsilon, wide
        ),
    )


def _exact_potentials(
    cost: Cost, a: NDArray[np.float64], b: NDArray[np.float64], reporter: Reporter
) -> NDArray[np.float64] | None:
    """Return potentials of the columns that solve the exact problem, or None where it has no solution."""
    raw = _core.emd(cost.core, a, b, "automatic", None, 1e-12, -1, reporter.listener)
    return None if raw["status"] == "infeasible" else raw["potential_b"]


def _check_epsilon(epsilon: Any, cost: Cost) -> float:
    number = check_real("epsilon", epsilon, 0.0, strictly=True)
    largest = float(np.finfo(cost.dtype).max)
    if not cost.spread() < 1e-3 * largest * number:
        raise ValueError(
            f"epsilon = {number:g} is too small for costs that range over {cost.spread():g}: their ratio "
            f"exceeds the range of {cost.dtype}"
        )
    return number


def _check_tol(tol: Any, dtype: np.dtype[np.floating[Any]]) -> float:
    if tol is None:
        return 1e-5 if dtype == _FLOAT32 else 1e-6
    return check_real("tol", tol, 0.0)


def _check_init(init: tuple[ArrayLike, ArrayLike], n: int, m: int) -> NDArray[np.float64]:
    """Check both potentials; those of the columns determine those of the rows."""
    if not isinstance(init, tuple | list) or len(init) != 2:
        raise ValueError(f"init must be a pair of potentials (f, g), not {init!r}")
    f, g = (as_array(f"init[{k}]", potential) for k, potential in enumerate(init))
    if f.shape != (n,) or g.shape != (m,):
        raise ValueError(f"init must have shapes ({n},) and ({m},), but they are {f.shape} and {g.shape}")
    check_finite("init[0]", f)
    check_finite("init[1]", g)
    return g.astype(np.float64, copy=False)


def _check_unbalanced(unbalanced: Any) -> tuple[float, float]:
    if unbalanced is None:
        return math.inf, math.inf
    pair = unbalanced if isinstance(unbalanced, tuple | list) else (unbalanced, unbalanced)
    if len(pair) != 2:
        raise ValueError(f"unbalanced must be a number or a pair of numbers, not {unbalanced!r}")
    rho_a, rho_b = (_check_rho(rho) for rho in pair)
    return rho_a, rho_b


def _check_rho(rho: Any) -> float:
    if isinstance(rho, float | np.floating) and rho == math.inf:
        return math.inf
    return check_real("unbalanced", rho, 0.0, strictly=True)
