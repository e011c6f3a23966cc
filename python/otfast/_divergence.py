"""The Sinkhorn divergence: entropic transport without its bias."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._entropic_result import EntropicCoupling, check_status, needs_double
from otfast._entropic_solve import solve, temper
from otfast._entropic_validation import check_epsilon, check_masses, check_rho, check_tol
from otfast._metric import Metric, parse_metric
from otfast._metric_gradient import position_gradient
from otfast._validation import FloatArray, as_cloud, balance_weights, check_count, check_weights
from otfast.cost import Cost, PointCloud
from otfast.progress import Progress, Reporter
from otfast.result import to_scalar

if TYPE_CHECKING:
    from otfast._core import _SinkhornResult

__all__ = ["Divergence", "sinkhorn_divergence"]

_Array = NDArray[np.float64]
_FLOAT32 = np.dtype(np.float32)

#: How far to go towards T f: with the eigenvalues of T' in [−1, 0], f + s (T f − f) contracts by 1/3 at
#: s = 2/3, which is the best, and by 1/2 at s = 1/2.
_STEP = 2.0 / 3.0

#: The price of a deviation, in units of ε, below which some hundred iterations are enough.
_CHEAP = 100.0

#: The error of OT(a, b) at the potential of OT(b, b) below which there is no better start.
_NEAR = 0.1


def sinkhorn_divergence(
    a: ArrayLike | None,
    b: ArrayLike | None,
    x: ArrayLike,
    y: ArrayLike,
    epsilon: float,
    metric: Metric = "sqeuclidean",
    *,
    tol: float | None = None,
    max_iter: int = 10_000,
    unbalanced: float | None = None,
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
) -> Divergence:
    r"""Compare two weighted point clouds by entropic transport without its bias.

    .. math:: S_\varepsilon(a, b) = \mathrm{OT}_\varepsilon(a, b) - \tfrac12 \mathrm{OT}_\varepsilon(a, a)
        - \tfrac12 \mathrm{OT}_\varepsilon(b, b) + \tfrac\varepsilon2 (m_a - m_b)^2,

    where OT_ε is the value of `sinkhorn` and m_a, m_b are the total masses, which differ in the unbalanced
    case only. For costs C whose kernel exp(−C/ε) is positive definite, such as ``"sqeuclidean"``,
    ``"euclidean"`` or ``"cityblock"``, it is not negative, and 0 only between equal measures.

    Parameters
    ----------
    a : array_like, shape (n,), or None
        Weights of `x`, not negative; None means 1/n each.
    b : array_like, shape (m,), or None
        Weights of `y`, not negative; None means 1/m each. Totals must agree as in `sinkhorn`.
    x : array_like, shape (n, d) or (n,)
        Points of the first measure; a vector means points on the line.
    y : array_like, shape (m, d) or (m,)
        Points of the second measure.
    epsilon : float
        The temperature ε > 0, in units of the cost.
    metric : str or tuple, default "sqeuclidean"
        The cost between points, one of those of `PointCloud`; ``("bilinear", A)`` needs a symmetric `A`.
    tol : float, optional
        The error at which to stop, in each of the three problems; 1e-8 by default, 1e-5 in single precision.
        With 0, exactly `max_iter` iterations are made in each.
    max_iter : int, default 10_000
        Largest number of iterations in each of the three problems.
    unbalanced : float, optional
        The price ρ > 0 of a deviation from the marginals in all three problems; masses are free then.
    callback : callable, optional
        Called with a `Progress` at least every 0.1 s and at the end; returning True stops the work.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    Divergence
        The value and its derivatives in `x` and `a`.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or the callback ends the work early; `error` tells how far it came.

    Notes
    -----
    The error of the value is of second order in `tol`, that of the derivatives of first order. The symmetric
    problems are solved by f ← f + ⅔ (T f − f) for the Sinkhorn step T, which divides the error by 3 in every
    iteration at any temperature where the kernel is positive definite, since the eigenvalues of T' are those
    of −P/a, in [−1, 0]; the average of f and T f in [1]_ divides it by 2. OT(a, b) starts from the potential
    of OT(b, b) where the measures are near each other, and is else solved as by `sinkhorn`. Points are never
    turned into a matrix: memory is O((n + m) d), besides the entries of the plan that matter at low
    temperature.

    References
    ----------
    .. [1] Feydy, Séjourné, Vialard, Amari, Trouvé and Peyré, "Interpolating between optimal transport and MMD
       using Sinkhorn divergences", 2019: definition (3), theorem 1, the symmetric iteration in
       section 3.1.
    .. [2] Séjourné, Feydy, Vialard, Trouvé and Peyré, "Sinkhorn divergences for unbalanced optimal
       transport", 2019: the unbalanced divergence, with the term of the masses.

    Examples
    --------
    >>> import otfast as otf
    >>> x, y = [[0.0], [1.0]], [[2.0], [3.0]]
    >>> result = otf.sinkhorn_divergence(None, None, x, y, epsilon=0.1)
    >>> round(result.value, 6)
    4.0
    >>> result.gradient_x.round(6)
    array([[-2.],
           [-2.]])
    >>> abs(round(otf.sinkhorn_divergence(None, None, x, x, epsilon=0.1).value, 12))
    0.0
    """
    points_x, points_y = as_cloud("x", x), as_cloud("y", y)
    if not points_x.dtype == points_y.dtype == _FLOAT32:
        points_x, points_y = (points.astype(np.float64, copy=False) for points in (points_x, points_y))
    metric = _check_symmetric(metric)
    cost = PointCloud(points_x, points_y, metric)
    weights_a, total_a, single_a = check_weights("a", a, len(points_x))
    weights_b, total_b, single_b = check_weights("b", b, len(points_y))
    rho = math.inf if unbalanced is None else check_rho(unbalanced)
    if math.isinf(rho):
        is_single = single_a or single_b or cost.dtype == _FLOAT32
        weights_b = balance_weights(weights_b, total_a, total_b, is_single)
    epsilon = check_epsilon(epsilon, cost.bounds(), cost.dtype)
    check_masses("a and b", [max(total_a, total_b)] * 2, cost.bounds(), epsilon, cost.dtype)
    epsilon = temper(epsilon, cost.bounds(), (rho, rho))
    tol = check_tol(tol, cost.dtype, default=1e-8)
    max_iter = check_count("max_iter", max_iter)

    with Reporter(callback, progress, "sinkhorn_divergence") as reporter:
        solver = _Solver(epsilon, rho, tol, max_iter, reporter)
        within_a = solver.solve_symmetric(PointCloud(points_x, metric=metric), weights_a)
        within_b = solver.solve_symmetric(PointCloud(points_y, metric=metric), weights_b)
        across = solver.solve(cost, weights_a, weights_b, within_b.coupling.potential_a)
        value = across.value - 0.5 * within_a.value - 0.5 * within_b.value
        if math.isfinite(rho):
            value += 0.5 * epsilon * (total_a - total_b) ** 2
        if reporter.monitor is not None:
            reporter.finish(solver.n_iter, solver.error, value)
    check_status(solver.status, tol, solver.error)
    gradient_a = _weight_gradient(
        across.coupling.potential_a, within_a.coupling.potential_a, weights_a, epsilon, rho
    )
    return Divergence(
        value=to_scalar(value, cost.dtype),
        gradient_a=gradient_a.astype(cost.dtype, copy=False),
        converged=solver.status == "optimal",
        n_iter=solver.n_iter,
        error=solver.error,
        coupling=across.coupling,
        coupling_a=within_a.coupling,
        shape_x=np.shape(x),
    )


@dataclass(frozen=True, eq=False, repr=False)
class Divergence:
    """The Sinkhorn divergence S(a, b) between two measures, with its derivatives in the first one.

    Attributes
    ----------
    value : float
        The divergence; rounding may leave it slightly below zero.
    gradient_a : ndarray, shape (n,)
        The derivative in the weights `a`. Balanced: shifted so that ⟨gradient_a, a⟩ = 0, which is arbitrary
        as long as the total mass stays.
    converged : bool
        Whether all three problems reached their tolerance.
    n_iter : int
        The number of iterations of all three together.
    error : float
        The largest of their errors, see `Transport.error`.
    coupling, coupling_a : EntropicCoupling
        The plans of OT(a, b) and OT(a, a).
    shape_x : tuple
        The shape in which the points `x` came.
    """

    value: float
    gradient_a: FloatArray
    converged: bool
    n_iter: int
    error: float
    coupling: EntropicCoupling
    coupling_a: EntropicCoupling
    shape_x: tuple[int, ...]

    @cached_property
    def gradient_x(self) -> FloatArray:
        """The derivative in the points, of the shape of `x`; computed at first access, in passes over pairs.

        The two arguments of OT(a, a) move together and the cost is symmetric, so that its half counts once.
        For kinks of the metric see `Transport.gradient_x`.
        """
        across, within = (_position_gradient(plan) for plan in (self.coupling, self.coupling_a))
        return (across - within).astype(self.gradient_a.dtype, copy=False).reshape(self.shape_x)

    def __repr__(self) -> str:
        n, m = self.coupling.shape
        return (
            f"Divergence(value={self.value:.6g}, error={self.error:.1e}, shape={n} x {m}, "
            f"converged={self.converged}, n_iter={self.n_iter})"
        )


def _position_gradient(coupling: EntropicCoupling) -> _Array:
    cost = coupling.cost
    assert isinstance(cost, PointCloud)
    return position_gradient(coupling, cost.x, cost.y, cost.metric)


def _weight_gradient(across: _Array, within: _Array, a: _Array, epsilon: float, rho: float) -> _Array:
    if math.isinf(rho):
        gradient = across - within
        return gradient - a @ gradient / a.sum()  # type: ignore[no-any-return]
    # The derivatives of the three values, and of the term of the masses; what does not depend on i cancels.
    return (rho + epsilon) * (np.expm1(-within / rho) - np.expm1(-across / rho))


def _check_symmetric(metric: Any) -> Metric:
    checked = parse_metric(metric)
    if isinstance(checked, tuple) and checked[0] == "bilinear":
        matrix = checked[1]
        if matrix.shape[0] != matrix.shape[1] or not (matrix == matrix.T).all():
            raise ValueError(
                "metric ('bilinear', A) must be symmetric here: OT(a, a) compares x with itself; "
                "use 0.5 * (A + A.T)"
            )
    return checked


class _Solution(NamedTuple):
    value: float
    coupling: EntropicCoupling


class _Solver:
    """Solves the three problems one after another, and keeps the account of all of them."""

    def __init__(self, epsilon: float, rho: float, tol: float, max_iter: int, reporter: Reporter) -> None:
        self._epsilon = epsilon
        self._rho = rho
        self._tol = tol
        self._max_iter = max_iter
        self._report = reporter.monitor
        self._stopped = False
        self._last_error = math.nan
        self.n_iter = 0
        self.error = 0.0
        self.status = "optimal"

    def solve(self, cost: PointCloud, a: _Array, b: _Array, g: _Array) -> _Solution:
        """Solve OT(a, b), from the potential of OT(b, b) if the measures are near enough for that."""
        start = None
        if self._tol > 0.0:
            raw, wide = self._call(cost, a, b, "log", min(2, self._max_iter), g)
            if raw["error"] < _NEAR:
                start = raw["potential_b"]
            self.n_iter += raw["n_iter"]
        if start is None or raw["error"] > self._tol:
            raw, wide = self._call(cost, a, b, self._method(), self._max_iter, start)
            self.n_iter += raw["n_iter"]
        self._close(raw["status"], raw["error"])
        plan = EntropicCoupling(cost, a, b, raw["potential_a"], raw["potential_b"], self._epsilon, wide)
        return _Solution(raw["value"], plan)

    def _method(self) -> str:
        """Return how to solve OT(a, b): iterations contract by (ρ/(ρ + ε))² at any temperature."""
        return "log" if self._rho < _CHEAP * self._epsilon else "auto"

    def _call(
        self, cost: PointCloud, a: _Array, b: _Array, method: str, max_iter: int, start: _Array | None
    ) -> tuple[_SinkhornResult, bool]:
        watched = self._report is not None
        return solve(
            cost,
            a,
            b,
            self._epsilon,
            (self._rho, self._rho),
            method,
            self._tol,
            1 if self._stopped else max_iter,
            start,
            self._listen if watched else None,
            self._repeat if watched else None,
        )

    def solve_symmetric(self, cost: PointCloud, a: _Array) -> _Solution:
        """Solve OT(a, a), whose two potentials are equal."""
        epsilon, damping = self._epsilon, 1.0 / (1.0 + self._epsilon / self._rho)
        low, high = cost.bounds()
        wide = needs_double(cost.dtype, high - low, epsilon)
        has_weight = a > 0.0
        with np.errstate(divide="ignore"):
            log_a = epsilon * np.log(a)
        f = np.zeros_like(a)
        status = "iteration_limit"
        iteration = 0
        while True:
            softmin = self._softmin(cost, f + log_a, wide)
            iteration += 1
            target = damping * softmin
            error = self._symmetric_error(f, target, a)
            if self._report is not None and self._listen(iteration, error, math.nan):
                status = "stopped"
            if error <= self._tol and self._tol > 0.0:
                status = "optimal"
            if status != "iteration_limit" or iteration >= self._max_iter:
                break
            f += _STEP * (target - f)
        plan_mass = float(a @ np.exp(np.where(has_weight, f - softmin, 0.0) / epsilon))
        worth = f if math.isinf(self._rho) else -self._rho * np.expm1(-f / self._rho)
        value = 2.0 * float(a @ worth) + epsilon * (float(a.sum()) ** 2 - plan_mass)
        f = np.where(has_weight, f, target)
        self.n_iter += iteration
        self._close(status, error)
        return _Solution(value, EntropicCoupling(cost, a, a, f, f, epsilon, wide))

    def _symmetric_error(self, f: _Array, target: _Array, a: _Array) -> float:
        change = np.where(a > 0.0, f - target, 0.0) / self._epsilon
        if math.isinf(self._rho):
            return float(a @ np.abs(np.expm1(change)) / a.sum())
        return float(np.abs(change).max())

    def _softmin(self, cost: Cost, h: _Array, wide: bool) -> _Array:
        return _core.softmin(
            cost.core, h, self._epsilon, wide, False, None if self._report is None else self._repeat
        )

    def _listen(self, iteration: int, error: float, _: float) -> bool:
        """Pass on where one of the problems stands; the value of the whole is not known before the end."""
        assert self._report is not None
        self._last_error = error
        self._stopped = self._report(self.n_iter + iteration, error, math.nan) or self._stopped
        return self._stopped

    def _repeat(self, *_: float) -> bool:
        """Say the same again in a long pass."""
        return self._listen(0, self._last_error, math.nan)

    def _close(self, status: str, error: float) -> None:
        self.error = max(self.error, error)
        if status != "optimal":
            self.status = "stopped" if self._stopped else status
