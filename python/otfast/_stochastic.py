"""Entropic transport by incremental gradients: a few rows, or samples, at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._entropic_result import check_status, make_transport, needs_double
from otfast._entropic_solve import full_pass
from otfast._entropic_validation import check_epsilon, check_masses
from otfast._metric import Metric, parse_metric
from otfast._semidiscrete import SemiDiscrete
from otfast._validation import (
    FloatArray,
    as_points,
    balance_weights,
    check_choice,
    check_count,
    check_real,
    check_weights,
)
from otfast.cost import Cost, DenseCost, PointCloud, as_cost
from otfast.progress import Monitor, Progress, Reporter
from otfast.result import Transport, to_scalar

if TYPE_CHECKING:
    from otfast._core import _SinkhornResult

_FLOAT32 = np.dtype(np.float32)
_METHODS = ("sag", "asgd")

#: Bytes of kept gradients beyond which SAG is refused.
_MOST_KEPT = 2**31

#: Pairs, and rows, between two looks at the clock in Python: some milliseconds of work.
_BLOCK_PAIRS, _BLOCK_ROWS = 2**22, 2**16

#: Fresh samples from which the result of the semi-discrete problem is judged.
_JUDGES = 2**16

#: Rows that are drawn by default, at least.
_LEAST_ROWS = 100_000

#: The default tolerances.
_TOL = {"sag": 1e-4, "asgd": 1e-2, "semi-discrete": 5e-2}

_Callback = Callable[[Progress], Any]
_Sampler = Callable[[np.random.Generator, int], ArrayLike]


@overload
def sinkhorn_stochastic(
    a: ArrayLike | None,
    b: ArrayLike | None,
    C: ArrayLike | Cost,
    epsilon: float,
    *,
    method: str | None = None,
    n_iter: int | None = None,
    batch_size: int = 1,
    step: float | None = None,
    tol: float | None = None,
    rng: int | np.random.Generator | None = None,
    callback: _Callback | None = None,
    progress: bool = False,
) -> Transport: ...
@overload
def sinkhorn_stochastic(
    a: _Sampler,
    b: ArrayLike | None,
    C: tuple[Metric, ArrayLike],
    epsilon: float,
    *,
    method: str | None = None,
    n_iter: int | None = None,
    batch_size: int = 1,
    step: float | None = None,
    tol: float | None = None,
    rng: int | np.random.Generator | None = None,
    callback: _Callback | None = None,
    progress: bool = False,
) -> SemiDiscrete: ...
def sinkhorn_stochastic(
    a: ArrayLike | _Sampler | None,
    b: ArrayLike | None,
    C: ArrayLike | Cost | tuple[Metric, ArrayLike],
    epsilon: float,
    *,
    method: str | None = None,
    n_iter: int | None = None,
    batch_size: int = 1,
    step: float | None = None,
    tol: float | None = None,
    rng: int | np.random.Generator | None = None,
    callback: _Callback | None = None,
    progress: bool = False,
) -> Transport | SemiDiscrete:
    r"""Solve an entropic transport problem by incremental gradients on its semi-dual.

    .. math:: \max_g \; \sum_j b_j g_j - \varepsilon \sum_i a_i \log \sum_j b_j e^{(g_j - C_{ij})/\varepsilon}

    for measures of mass 1; a step takes a few rows of C, which are drawn at random. With a sampler in place
    of `a`, the sum over rows is an expectation over samples: semi-discrete transport.

    Parameters
    ----------
    a : array_like, shape (n,), or None, or callable
        Weights of the rows, not negative; None means 1/n each. Or a sampler: ``a(rng, k)`` returns k
        independent points, `(k, d)`, drawn with the `numpy.random.Generator` that it is given.
    b : array_like, shape (m,), or None
        Weights of the columns, not negative; None means 1/m each. Their total must agree with that of `a`, as
        in `sinkhorn`; a sampler's measure takes the total of `b`.
    C : array_like, shape (n, m), or Cost, or (metric, y)
        Cost of a unit of mass from i to j; ``+inf`` forbids a pair. With a sampler: a metric of `PointCloud`
        and the points `y` `(m, d)` of the columns.
    epsilon : float
        The temperature ε > 0, in units of the cost.
    method : {"sag", "asgd"}, optional
        ``"sag"``, the default for weights: stochastic averaged gradients [1]_ (algorithm 1), which converge
        linearly, but keep the last gradient of every row: n m numbers. ``"asgd"``, the default for a sampler:
        averaged stochastic gradients [1]_ (algorithm 2), in O(n + m) memory; the error falls like 1/√k.
    n_iter : int, optional
        Number of steps; by default such that max(100 n, 100 m, 100_000) rows are drawn, for a sampler
        max(100 m, 100_000). With weights, fewer if `tol` is reached.
    batch_size : int, default 1
        Number of rows to a step.
    step : float, optional
        Length of the steps, in units of the cost. ``"sag"``: 2 ε by default, which is 1/L for the Lipschitz
        constant L of the gradients. ``"asgd"``: the k-th step is `step`/√k long; by default, `step` is r √c/2
        (at least ε) for the mean range r of the costs of a row, which is how far potentials may have to go,
        and the effective number c of columns that share the mass of a row, which tells the size of gradients.
    tol : float, optional
        The error to reach, see `Transport.error`; by default 1e-4 for ``"sag"``, 1e-2 for ``"asgd"``, 5e-2
        for a sampler. With 0, exactly `n_iter` steps are made.
    rng : int or numpy.random.Generator, optional
        The seed, or the source of all random numbers. The same seed gives the same result.
    callback : callable, optional
        Called with a `Progress` at least every 0.1 s and at the end; returning True stops the solver.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    Transport or SemiDiscrete
        Weights: what `sinkhorn` returns, of the potentials reached; a pass over all pairs gives f, the true
        `error`, and the dual `value`. Sampler: `SemiDiscrete`, with g alone, and with f and the plan as
        functions of x; `error` and `value` are estimates from 65_536 fresh samples.

    Raises
    ------
    ValueError
        If an argument is malformed, or the gradients that ``"sag"`` keeps would take more than 2 GiB; the
        message names the argument.
    InfeasibleError
        If a row or a column of positive mass has only forbidden pairs.

    Warns
    -----
    ConvergenceWarning
        If `n_iter` or the callback ends the work before `tol` is reached; `error` tells how far it came.

    Notes
    -----
    A step takes O(m) time for each row of its batch; batches of many pairs share all threads. ``"sag"`` draws
    a row with probability a_i/2 + 1/(2n), so that light rows are not forgotten, and takes the mean over the
    rows drawn so far [2]_; ``"asgd"`` draws with probability a_i and gives iterate k of the mean a weight of
    k, which forgets the start sooner than the plain mean [3]_. Rows without weight are never drawn. Pairs are
    computed in the precision of the cost (double precision where exponents C/ε of a `float32` cost range over
    more than 350). Where all rows can be passed over in reasonable time, `sinkhorn` is faster; both methods
    need more steps as ε falls, and columns of little weight come last.

    References
    ----------
    .. [1] Genevay, Cuturi, Peyré and Bach, "Stochastic optimization for large-scale optimal transport", 2016.
    .. [2] Schmidt, Le Roux and Bach, "Minimizing finite sums with the stochastic average gradient", 2017:
       sections 4.2 (normalisation) and 4.8 (non-uniform sampling).
    .. [3] Lacoste-Julien, Schmidt and Bach, "A simpler approach to obtaining an O(1/t) convergence rate for
       the projected stochastic subgradient method", 2012.

    Examples
    --------
    >>> import numpy as np, otfast as otf
    >>> cost = otf.PointCloud([[0.0], [1.0]], [[0.0], [1.0], [2.0]])
    >>> result = otf.sinkhorn_stochastic(None, None, cost, 0.5, rng=0, tol=1e-8)
    >>> round(result.value, 4), round(otf.sinkhorn(None, None, cost, 0.5).value, 4)
    (0.725, 0.725)

    From the uniform measure on a square to two points:

    >>> square = lambda rng, k: rng.random((k, 2))
    >>> points = [[0.0, 0.5], [1.0, 0.5]]
    >>> result = otf.sinkhorn_stochastic(square, [0.5, 0.5], ("sqeuclidean", points), 0.1, rng=0)
    >>> result.probabilities([[0.2, 0.1]]).round(2)
    array([[1., 0.]])
    """
    epsilon = check_real("epsilon", epsilon, 0.0, strictly=True)
    batch_size = check_count("batch_size", batch_size)
    n_iter = None if n_iter is None else check_count("n_iter", n_iter)
    step = None if step is None else check_real("step", step, 0.0, strictly=True)
    steps = _Steps(epsilon, batch_size, n_iter, step, _check_rng(rng))
    if method is None:
        method = "asgd" if callable(a) else "sag"
    check_choice("method", method, _METHODS)
    result: Transport | SemiDiscrete
    with Reporter(callback, progress, "sinkhorn_stochastic") as reporter:
        if callable(a):
            if method == "sag":
                raise ValueError(
                    "method must be 'asgd' where a is a sampler: 'sag' keeps a gradient for each row"
                )
            tol = _check_tol(tol, "semi-discrete")
            result, stopped = _semi_discrete(a, b, C, steps, tol, reporter)
        else:
            tol = _check_tol(tol, method)
            result, stopped = _discrete(a, b, C, method, steps, tol, reporter)
        if reporter.monitor is not None:
            reporter.finish(result.n_iter, result.error, result.value)
    status = "optimal" if result.converged else "stopped" if stopped else "iteration_limit"
    check_status(status, tol, result.error, "n_iter")
    return result


@dataclass
class _Steps:
    """How to walk, apart from the problem; what is None depends on it."""

    epsilon: float
    batch_size: int
    n_iter: int | None
    step: float | None
    rng: np.random.Generator

    def count(self, rows: int) -> int:
        """Return the number of steps, by default enough for so many rows."""
        return -(-rows // self.batch_size) if self.n_iter is None else self.n_iter

    def block(self, n_cols: int, most: int = _BLOCK_ROWS) -> int:
        """Return the number of steps between two looks at the clock in Python."""
        # A new cloud of samples, which copies all columns, is worth some rows.
        return max(1, min(most, _BLOCK_ROWS, max(64, _BLOCK_PAIRS // n_cols)) // self.batch_size)

    def length(self, cost: Cost, b: NDArray[np.float64]) -> float:
        """Return the step of ``"asgd"``: how far potentials go over the size of gradients, in a few rows."""
        if self.step is not None:
            return self.step
        ranges, counts = [], []
        for i in np.unique(np.linspace(0, cost.shape[0] - 1, 64).astype(np.int64)).tolist():
            row = cost.rows(i, i + 1)[0].astype(np.float64)
            least, largest = row.min(), row.max(initial=-np.inf, where=np.isfinite(row))
            if least <= largest:
                chances = b * np.exp((least - row) / self.epsilon)
                if chances.any():
                    chances /= chances.max()
                    counts.append(float(chances.sum() ** 2 / (chances**2).sum()))
                ranges.append(float(largest - least))
        reach = 0.5 * float(np.mean(ranges or [0.0])) * math.sqrt(float(np.mean(counts or [1.0])))
        # Costs that hardly differ move the potentials no farther than the temperature allows.
        return max(reach, self.epsilon)


class _Watch:
    """Remembers whether anybody asked to stop, also where a pass over all pairs cannot be stopped."""

    def __init__(self, reporter: Reporter) -> None:
        self._report = reporter.monitor
        self._iteration = 0
        self.stopped = False

    @property
    def monitor(self) -> Monitor | None:
        """For steps."""
        return None if self._report is None else self._step

    @property
    def listener(self) -> Monitor | None:
        """For passes between steps."""
        return None if self._report is None else lambda *_: self._step(self._iteration, math.nan, math.nan)

    def _step(self, iteration: int, error: float, value: float) -> bool:
        assert self._report is not None
        self._iteration = iteration
        self.stopped = self._report(iteration, error, value) or self.stopped
        return self.stopped


def _discrete(
    a: ArrayLike | None,
    b: ArrayLike | None,
    C: Any,
    method: str,
    steps: _Steps,
    tol: float,
    reporter: Reporter,
) -> tuple[Transport, bool]:
    cost = as_cost(C)
    n, m = cost.shape
    weights_a, total_a, single_a = check_weights("a", a, n)
    weights_b, total_b, single_b = check_weights("b", b, m)
    is_single = single_a or single_b or cost.dtype == _FLOAT32
    weights_b = balance_weights(weights_b, total_a, total_b, is_single)
    low, high = cost.bounds()
    epsilon = check_epsilon(steps.epsilon, (low, high), cost.dtype)
    check_masses("a and b", (total_a, total_b), (low, high), epsilon, cost.dtype)
    wide = needs_double(cost.dtype, high - low, epsilon)
    in_single = cost.dtype == _FLOAT32 and not wide
    if method == "sag":
        _check_memory(n, m, 4 if in_single else 8)
    watch = _Watch(reporter)

    def judge(g: NDArray[np.float64] | None, max_iter: int = 1) -> _SinkhornResult:
        raw = full_pass(cost, weights_a, weights_b, epsilon, g, max_iter=max_iter, monitor=watch.listener)
        check_status("infeasible" if raw["status"] == "infeasible" else "optimal", tol, raw["error"])
        return raw

    if isinstance(cost, DenseCost) and cost.has_forbidden():
        judge(None, max_iter=2)
    shares, shares_b = weights_a / total_a, weights_b / total_a
    is_sag = method == "sag"
    step = (2.0 * epsilon if steps.step is None else steps.step) if is_sag else steps.length(cost, shares_b)
    make = _core.Ascent32 if in_single else _core.Ascent64
    ascent: Any = make(shares_b, epsilon, step, steps.batch_size, shares if is_sag else None, watch.monitor)
    n_iter = steps.count(max(100 * n, 100 * m, _LEAST_ROWS))
    block = steps.block(m, max(n, 1024))
    draw = _row_sampler(shares, steps.rng, mixed=is_sag)
    raw, next_check = None, 4 * n
    while raw is None:
        done = ascent.iterations
        ascent.run(cost.core, draw(min(block, n_iter - done) * steps.batch_size))
        done = ascent.iterations
        is_last = watch.stopped or done == n_iter
        # The gradients that SAG keeps tell the error roughly; without them, full passes get rare with time.
        is_promising = ascent.error <= tol if is_sag else done * steps.batch_size >= next_check
        if is_last or (tol > 0.0 and is_promising):
            next_check *= 2
            raw = judge(ascent.potentials())
            if not is_last and raw["error"] > tol:
                raw = None
    raw["status"] = "optimal" if tol > 0.0 and raw["error"] <= tol else "iteration_limit"
    raw["n_iter"] = ascent.iterations
    return make_transport(raw, cost, weights_a, weights_b, epsilon, (math.inf, math.inf), wide), watch.stopped


def _semi_discrete(
    sampler: _Sampler, b: ArrayLike | None, C: Any, steps: _Steps, tol: float, reporter: Reporter
) -> tuple[SemiDiscrete, bool]:
    metric, y = _check_points(C)
    m = len(y)
    weights, total, _ = check_weights("b", b, m)
    epsilon = steps.epsilon
    watch = _Watch(reporter)
    n_iter = steps.count(max(100 * m, _LEAST_ROWS))
    block = steps.block(m)
    ascent: Any = None
    done = 0
    while done < n_iter and not watch.stopped:
        k = min(block, n_iter - done) * steps.batch_size
        cost = _sample_cost(sampler, steps.rng, k, y, metric)
        if ascent is None:
            low, high = cost.bounds()
            check_epsilon(epsilon, (low, high), cost.dtype)
            check_masses("b", (total,), (low, high), epsilon, cost.dtype)
            wide = needs_double(cost.dtype, high - low, epsilon)
            make = _core.Ascent32 if cost.dtype == _FLOAT32 and not wide else _core.Ascent64
            ascent = make(
                weights / total,
                epsilon,
                steps.length(cost, weights / total),
                steps.batch_size,
                None,
                watch.monitor,
            )
        ascent.run(cost.core, np.arange(k))
        done = ascent.iterations
    cost = _sample_cost(sampler, steps.rng, _JUDGES, y, metric)
    law = np.full(_JUDGES, total / _JUDGES)
    raw = full_pass(cost, law, weights, epsilon, ascent.potentials(), monitor=watch.listener)
    result = SemiDiscrete(
        value=to_scalar(raw["value"], y.dtype),
        potential_b=raw["potential_b"].astype(y.dtype),
        converged=tol > 0.0 and raw["error"] <= tol,
        n_iter=done,
        error=raw["error"],
        b=weights,
        y=y,
        metric=metric,
        epsilon=epsilon,
    )
    return result, watch.stopped


def _row_sampler(
    shares: NDArray[np.float64], rng: np.random.Generator, *, mixed: bool
) -> Callable[[int], NDArray[np.int64]]:
    """Return a function that draws rows in proportion to their weights; `mixed`: half of them uniformly."""
    positive = shares > 0.0
    chances = 0.5 * shares + 0.5 * positive / np.count_nonzero(positive) if mixed else shares
    bounds = np.cumsum(chances)
    bounds /= bounds[-1]
    # A row without weight ends where it begins, so that no number falls into it.
    return lambda k: np.searchsorted(bounds, rng.random(k), side="right").astype(np.int64, copy=False)


def _sample_cost(
    sampler: _Sampler, rng: np.random.Generator, k: int, y: FloatArray, metric: Metric
) -> PointCloud:
    points = as_points("a(rng, k)", sampler(rng, k))
    bilinear = isinstance(metric, tuple) and metric[0] == "bilinear"
    if len(points) != k or (points.shape[1] != y.shape[1] and not bilinear):
        raise ValueError(
            f"a(rng, k) must return points of shape (k, {y.shape[1]}), with k = {k}, but their shape is "
            f"{points.shape}"
        )
    return PointCloud(points.astype(y.dtype, copy=False), y, metric)


def _check_points(C: Any) -> tuple[Metric, FloatArray]:
    if not isinstance(C, tuple | list) or len(C) != 2:
        raise ValueError("C must be a pair (metric, y) of a metric and points where a is a sampler")
    return parse_metric(C[0]), as_points("C[1]", C[1])


def _check_memory(n: int, m: int, itemsize: int) -> None:
    needed = n * m * itemsize
    if needed > _MOST_KEPT:
        raise ValueError(
            f"method 'sag' would keep {m} numbers for each of {n} rows of C, {needed / 2**30:.1f} GiB; "
            "use method='asgd'"
        )


def _check_tol(tol: Any, kind: str) -> float:
    return _TOL[kind] if tol is None else check_real("tol", tol, 0.0)


def _check_rng(rng: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise ValueError(f"rng must be a seed or a numpy.random.Generator, not {rng!r}") from None
