"""Exact transport: linear programs between two measures, solved with a certificate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._batch import Problems, TransportBatch, check_problems
from otfast._exact_result import (
    DEFAULT_TOL,
    check_batch_status,
    check_status,
    is_accurate,
    make_transport,
    relative_gap,
    warn_inaccurate,
)
from otfast._line import emd_1d, wasserstein_1d
from otfast._metric import extents
from otfast._validation import (
    FloatArray,
    as_array,
    as_cloud,
    balance_weights,
    check_choice,
    check_count,
    check_finite,
    check_real,
    check_weights,
)
from otfast.cost import Cost, PointCloud, as_cost
from otfast.progress import Progress, Reporter
from otfast.result import Transport, to_scalar

if TYPE_CHECKING:
    from otfast._core import _BatchResult, _EmdResult

__all__ = [
    "TransportBatch",
    "assignment",
    "emd",
    "emd_1d",
    "emd_batch",
    "wasserstein",
    "wasserstein_1d",
]

#: Where each method takes its first potentials from.
_STARTS = {
    "auto": "automatic",
    "network-simplex": "cold",
    "assignment": "automatic",
    "column-generation": "multilevel",
}
_METHODS = tuple(_STARTS)

#: As the core numbers them.
_STATUSES = ("optimal", "iteration_limit", "stopped", "infeasible")
_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)

_Callback = Callable[[Progress], Any]


def emd(
    a: ArrayLike | None,
    b: ArrayLike | None,
    C: ArrayLike | Cost,
    *,
    method: str = "auto",
    init: tuple[ArrayLike, ArrayLike] | None = None,
    tol: float | None = None,
    max_iter: int | None = None,
    callback: _Callback | None = None,
    progress: bool = False,
) -> Transport:
    r"""Solve a transport problem exactly.

    .. math:: \min_{P \ge 0} \langle P, C \rangle \quad \text{subject to} \quad P 1 = a, \; P^\top 1 = b,

    whose dual is max ⟨f, a⟩ + ⟨g, b⟩ subject to f_i + g_j ≤ C_ij.

    Parameters
    ----------
    a : array_like, shape (n,), or None
        Weights of the rows, not negative; None means 1/n each.
    b : array_like, shape (m,), or None
        Weights of the columns, not negative; None means 1/m each. Its total must agree with that of `a` to a
        relative 1e-6 (1e-4 if `a`, `b` or `C` is `float32`); the rest of the difference is removed by
        rescaling `b`.
    C : array_like, shape (n, m), or Cost
        Cost of a unit of mass from i to j; ``+inf`` forbids a pair.
    method : {"auto", "network-simplex", "assignment", "column-generation"}, default "auto"
        All work on a few candidate pairs and price the others in passes over C; they differ in where they
        start. ``"column-generation"`` solves coarser problems first, which pays where near points have near
        costs; ``"network-simplex"`` does not, which pays for costs without structure; ``"auto"`` decides by
        size. ``"assignment"`` is ``"auto"`` for n = m and equal weights, and insists on them.
    init : (f, g), optional
        Potentials, of shapes `(n,)` and `(m,)`, to start from: those of a similar problem. They need not be
        feasible.
    tol : float, optional
        Relative duality gap at which to stop; 1e-12 by default. With 0, `max_iter` ends the work without a
        warning.
    max_iter : int, optional
        Largest number of iterations (pivots, or augmentations of an assignment); no limit by default.
    callback : callable, optional
        Called with a `Progress` at least every 0.1 s and at the end; returning True stops the solver.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    Transport
        The plan with at most n + m − 1 atoms, potentials that are feasible for all pairs, and the value.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.
    InfeasibleError
        If every plan uses a forbidden pair.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or the callback ends the work early.

    Notes
    -----
    Time grows about like n^1.7 on point clouds and n² log n without structure. Memory is O(n + m) beyond the
    cost, which is never copied. Passes over C use all threads; the simplex itself uses one. Computation is in
    double precision, also for `float32` costs. Equal calls give equal results. Where several plans are
    optimal, which one is returned is not specified.

    References
    ----------
    .. [1] Peyré and Cuturi, "Computational Optimal Transport", 2019: the linear program (2.11), its dual
       (2.20), the network simplex in section 3.5.
    .. [2] Bonneel, van de Panne, Paris and Heidrich, "Displacement interpolation using Lagrangian mass
       transport", 2011.

    Examples
    --------
    >>> import otfast as otf
    >>> result = otf.emd([0.5, 0.5], [0.25, 0.75], [[0.0, 1.0], [2.0, 0.0]])
    >>> result.value
    0.25
    >>> result.plan
    array([[0.25, 0.25],
           [0.  , 0.5 ]])
    """
    cost = as_cost(C)
    n, m = cost.shape
    weights_a, total_a, single_a = check_weights("a", a, n)
    weights_b, total_b, single_b = check_weights("b", b, m)
    is_single = single_a or single_b or cost.dtype == _FLOAT32
    weights_b = balance_weights(weights_b, total_a, total_b, is_single)
    _check_method(method, weights_a, weights_b)
    f0 = None if init is None else _check_init(init, n, m)
    start = _STARTS[method]
    tol, max_iter = _check_stopping(tol, max_iter)
    if callback is None and not progress:
        raw = _core.emd(cost.core, weights_a, weights_b, start, f0, tol, max_iter, None)
    else:
        with Reporter(callback, progress, "emd") as reporter:
            raw = _core.emd(cost.core, weights_a, weights_b, start, f0, tol, max_iter, reporter.monitor)
            if raw["status"] != "infeasible":
                reporter.finish(raw["n_iter"], relative_gap(raw, weights_a, weights_b), raw["value"])
    check_status(raw["status"], tol)
    result = make_transport(raw, weights_a, weights_b, cost.dtype, tol, cost.metric)
    if not result.converged and raw["status"] == "optimal":
        warn_inaccurate("the solver", result.error)
    return result


def emd_batch(
    A: ArrayLike | None,
    B: ArrayLike | None,
    C: ArrayLike | Cost,
    *,
    method: str = "auto",
    tol: float | None = None,
    max_iter: int | None = None,
    callback: _Callback | None = None,
    progress: bool = False,
) -> TransportBatch:
    """Solve many transport problems of one size exactly, in parallel.

    Problem k is ``emd(A[k], B[k], C[k])``, or ``emd(A[k], B[k], C)`` where the cost is common to all.

    Parameters
    ----------
    A : array_like, shape (k, n), or None
        Weights of the rows; None means 1/n each.
    B : array_like, shape (k, m), or None
        Weights of the columns; None means 1/m each. Totals must agree as in `emd`.
    C : array_like, shape (n, m) or (k, n, m), or Cost
        Costs, one for all problems or one for each. A cost object is one for all, and is made dense.
    method, tol, max_iter
        As in `emd`, for each problem.
    callback : callable, optional
        Called with a `Progress` that counts solved problems, as in `emd`.
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
        If some problem has no plan without forbidden pairs.

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
    >>> batch = otf.emd_batch([[1.0, 0.0], [0.5, 0.5]], None, [[0.0, 1.0], [2.0, 0.0]])
    >>> batch.value
    array([0.5, 0. ])
    >>> batch[0].plan
    array([[0.5, 0.5],
           [0. , 0. ]])
    """
    problems = check_problems(A, B, C)
    check_choice("method", method, _METHODS)
    if method == "assignment":
        for row_a, row_b in zip(problems.a, problems.b, strict=True):
            _check_method(method, row_a, row_b)
    tol, max_iter = _check_stopping(tol, max_iter)
    with Reporter(callback, progress, "emd_batch") as reporter:
        raw = _core.emd_batch(
            problems.costs, problems.a, problems.b, _STARTS[method], tol, max_iter, reporter.monitor
        )
        statuses = [_STATUSES[status] for status in raw["status"]]
        batch = ExactBatch(raw, problems, tol)
        if reporter.monitor is not None and "infeasible" not in statuses:
            reporter.finish(len(batch), float(batch.error.max()), float(batch.value.sum()))
    check_batch_status(statuses, tol)
    if "infeasible" not in statuses and statuses.count("optimal") > int(batch.converged.sum()):
        warn_inaccurate("some problem", float(batch.error.max()))
    return batch


class ExactBatch(TransportBatch):
    """What `emd_batch` returns."""

    def __init__(self, raw: _BatchResult, problems: Problems, tol: float) -> None:
        super().__init__(problems)
        self._raw = raw
        self._tol = tol

    def _make(self, k: int) -> Transport:
        a, b, dtype = self._problems.a[k], self._problems.b[k], self._problems.dtype
        return make_transport(self._problem(k), a, b, dtype, self._tol)

    def _problem(self, k: int) -> _EmdResult:
        raw = self._raw
        atoms = slice(raw["start"][k], raw["start"][k + 1])
        return {
            "status": _STATUSES[raw["status"][k]],
            "rows": raw["rows"][atoms],
            "cols": raw["cols"][atoms],
            "mass": raw["mass"][atoms],
            "potential_a": raw["potential_a"][k],
            "potential_b": raw["potential_b"][k],
            "value": float(raw["value"][k]),
            "dual_value": float(raw["dual_value"][k]),
            "n_iter": int(raw["n_iter"][k]),
        }

    @property
    def value(self) -> FloatArray:
        """The optimal values, `(k,)`."""
        return self._raw["value"].astype(self._problems.dtype)

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Which problems reached their tolerance, `(k,)`."""
        converged: NDArray[np.bool_] = self._raw["status"] == _STATUSES.index("optimal")
        converged &= is_accurate(self.error, self._tol)
        return converged

    @property
    def n_iter(self) -> NDArray[np.int64]:
        """The numbers of iterations, `(k,)`."""
        return self._raw["n_iter"].copy()

    @property
    def error(self) -> NDArray[np.float64]:
        """The relative duality gaps, `(k,)`."""
        value, dual = self._raw["value"], self._raw["dual_value"]
        scale = np.maximum(np.abs(value), np.abs(dual))
        error = np.divide(np.abs(value - dual), scale, out=np.zeros_like(scale), where=scale > 0.0)
        for k in np.flatnonzero(
            error > DEFAULT_TOL
        ).tolist():  # perhaps only what is left where large terms cancel
            error[k] = relative_gap(self._problem(k), self._problems.a[k], self._problems.b[k])
        return error


def assignment(C: ArrayLike | Cost) -> tuple[NDArray[np.intp], float]:
    """Assign every row of a square matrix a column of its own, at the least total cost.

    min Σ_i C[i, σ(i)] over permutations σ.

    Parameters
    ----------
    C : array_like, shape (n, n), or Cost
        Costs; ``+inf`` forbids a pair.

    Returns
    -------
    col_of_row : ndarray of int, shape (n,)
        The permutation σ.
    cost : float
        The sum of the chosen entries.

    Raises
    ------
    ValueError
        If `C` is malformed or not square.
    InfeasibleError
        If every permutation uses a forbidden pair.

    Notes
    -----
    The transport problem between uniform weights has a permutation among its solutions (Birkhoff's theorem),
    and this is it; time and memory are those of `emd`.

    Examples
    --------
    >>> import otfast as otf
    >>> col_of_row, cost = otf.assignment([[4, 1, 3], [2, 0, 5], [3, 2, 2]])
    >>> col_of_row
    array([1, 0, 2])
    >>> cost
    5.0
    """
    cost = as_cost(C)
    n, m = cost.shape
    if n != m:
        raise ValueError(f"C must be square, so that each row gets a column, but its shape is {(n, m)}")
    ones = np.ones(n)
    raw = _core.emd(cost.core, ones, ones, "automatic", None, DEFAULT_TOL, -1, None)
    check_status(raw["status"])
    col_of_row = np.empty(n, np.intp)
    col_of_row[raw["rows"]] = raw["cols"]
    return col_of_row, to_scalar(raw["value"], cost.dtype)


def wasserstein(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    p: float = 2,
    *,
    method: str = "auto",
    tol: float | None = None,
    max_iter: int | None = None,
    callback: _Callback | None = None,
    progress: bool = False,
) -> float:
    """Compute the Wasserstein distance between two weighted point clouds exactly.

    W_p = (min ⟨P, C⟩)^(1/p) over the plans P between `a` and `b`, with C_ij = ‖x_i − y_j‖₂^p.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        Points of the first measure; a vector means points on the line.
    y : array_like, shape (m, d) or (m,)
        Points of the second measure.
    a : array_like, shape (n,), optional
        Weights of `x`; 1/n each by default.
    b : array_like, shape (m,), optional
        Weights of `y`; 1/m each by default. Totals must agree as in `emd`.
    p : float, default 2
        Exponent, at least 1 and finite.
    method, tol, max_iter, callback, progress
        As in `emd`. On the line the answer comes from sorting instead.

    Returns
    -------
    float
        W_p, in `float32` if both `x` and `y` are.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or the callback ends the work early.

    See Also
    --------
    emd : The plan and the potentials as well, for any cost.
    wasserstein_1d : Many problems on the line at once.

    Notes
    -----
    Distances are computed on the fly and never stored: memory is O((n + m) d). Points are scaled by a power
    of two first, so that any magnitude is fine; distances that are below 2^(−1000/p) times the size of the
    clouds count as zero.

    Examples
    --------
    >>> import otfast as otf
    >>> otf.wasserstein([[0.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [1.0, 2.0]])
    2.0
    """
    p = check_real("p", p, 1.0)
    points_x, points_y = as_cloud("x", x), as_cloud("y", y)
    if points_x.shape[1] != points_y.shape[1]:
        raise ValueError(
            "x and y must have points of the same dimension, "
            f"but their shapes are {points_x.shape} and {points_y.shape}"
        )
    if points_x.shape[1] == 1:
        weights_a, weights_b = (
            check_weights(name, value, len(points))[0]
            for name, value, points in (("a", a, points_x), ("b", b, points_y))
        )
        _check_method(method, weights_a, weights_b)
        _check_stopping(tol, max_iter)
        with Reporter(callback, progress, "wasserstein") as reporter:
            distance = wasserstein_1d(points_x[:, 0], points_y[:, 0], a, b, p)
            if reporter.monitor is not None:
                reporter.finish(0, 0.0, float(distance))
        return distance  # type: ignore[return-value]
    dtype = _FLOAT32 if points_x.dtype == points_y.dtype == _FLOAT32 else _FLOAT64
    exponent = _range_exponent(points_x, points_y)
    scaled_x, scaled_y = np.ldexp(points_x, -exponent), np.ldexp(points_y, -exponent)
    if p > 2.0:  # small distances to high powers are below the range of single precision
        scaled_x, scaled_y = scaled_x.astype(np.float64), scaled_y.astype(np.float64)
    cost = PointCloud(scaled_x, scaled_y, ("power", 2.0, p))
    result = emd(a, b, cost, method=method, tol=tol, max_iter=max_iter, callback=callback, progress=progress)
    try:
        distance = math.ldexp(max(float(result.value), 0.0) ** (1.0 / p), exponent)
    except OverflowError:
        raise ValueError("the distance between x and y overflows; scale the points down") from None
    return to_scalar(distance, dtype)


def _check_method(method: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    check_choice("method", method, _METHODS)
    if method == "assignment" and not (a.size == b.size and (a == a[0]).all() and (b == b[0]).all()):
        raise ValueError(
            "method 'assignment' needs n = m, all rows of one weight and all columns of one weight; "
            "use 'network-simplex' or 'column-generation'"
        )


def _check_init(init: tuple[ArrayLike, ArrayLike], n: int, m: int) -> NDArray[np.float64]:
    """Check both potentials and return f: the core makes g from it, the best that f allows."""
    if not (isinstance(init, tuple | list) and len(init) == 2):
        raise ValueError("init must be a pair of potentials (f, g)")
    potentials = []
    for name, value, size in (("init[0]", init[0], n), ("init[1]", init[1], m)):
        potential = as_array(name, value).astype(_FLOAT64, copy=False)
        if potential.shape != (size,):
            raise ValueError(f"{name} must have shape ({size},), but its shape is {potential.shape}")
        check_finite(name, potential)
        potentials.append(potential)
    return potentials[0]


def _check_stopping(tol: float | None, max_iter: int | None) -> tuple[float, int]:
    tolerance = DEFAULT_TOL if tol is None else check_real("tol", tol, 0.0)
    return tolerance, -1 if max_iter is None else check_count("max_iter", max_iter)


def _range_exponent(x: FloatArray, y: FloatArray) -> int:
    """Return the power of two to divide points by, so that the box that holds them has sides of at most 1."""
    longest = float(extents(0.5 * x, 0.5 * y).max())
    return math.frexp(longest)[1] + 1
