"""Iterative Bregman projections: barycenters for plans that are regularised by their entropy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from otfast._validation import FloatArray
from otfast.barycenter._kernels import LogKernel
from otfast.barycenter._result import Barycenter
from otfast.barycenter._sharpening import sharpen
from otfast.errors import InfeasibleError
from otfast.progress import Monitor
from otfast.result import Transport, to_scalar

_Array = NDArray[np.float64]

_LN2 = math.log(2.0)

#: Every so many iterations the plans are compared with the measures.
_PERIOD = 10

_INFEASIBLE = (
    "there is no barycenter on this support: of its points none has a way to all measures, or a point of a "
    "measure has none to them (costs +inf in C)"
)


@dataclass(frozen=True, eq=False)
class Problem:
    """min over w of Σ_k λ_k min_P ⟨P, C_k⟩ + ε Σ P log P, P with marginals w and b_k, for many λ.

    Attributes
    ----------
    kernel : LogKernel
        The products with exp(−C_k/ε).
    size : int
        The number of points of the barycenter.
    b : ndarray
        The measures, in the shape of functions on their supports, without the axis of problems.
    mass : float
        The mass of each measure, and of the barycenter.
    weights : ndarray, shape (L, K)
        The λ of each problem.
    epsilon : float
        The temperature.
    debiased : bool
        Whether the problem is min over w of Σ_k λ_k S(w, b_k) for the Sinkhorn divergence S. The kernel is
        then a symmetric one, which all measures share.
    entropy_bound : float, optional
        A bound on −Σ w log w.
    """

    kernel: LogKernel
    size: int
    b: _Array
    mass: float
    weights: _Array
    epsilon: float
    debiased: bool = False
    entropy_bound: float | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked of the barycenter but to be one."""
        return not self.debiased and self.entropy_bound is None

    @cached_property
    def log_b(self) -> _Array:
        """The logarithms of the measures, to base 2."""
        with np.errstate(divide="ignore"):
            return np.log2(self.b)

    @cached_property
    def is_positive(self) -> bool:
        """Whether the measures have mass everywhere."""
        return bool((self.b > 0.0).all())


@dataclass
class Scalings:
    """Where the iterations stand: P_k = diag(2^alpha_k) exp(−C_k/ε) diag(2^beta_k), logarithms to base 2."""

    log_w: _Array
    """`(L, n)`: the barycenters, which are the rows of all plans."""
    alpha: _Array
    mean_phi: _Array
    """Σ_k λ_k log (K_k 2^beta_k), `(L, n)`: alpha_k is what is missing there from log_w."""
    beta: _Array
    log_d: _Array
    """`(L, n)`: debiased, diag(d) exp(−C/ε) diag(d) goes from the barycenter to itself; else zero."""
    self_error: _Array
    """By how much the marginals of that plan differ from the barycenter, `(L,)`."""


@dataclass
class Solution:
    """The last scalings, and what is known of them."""

    scalings: Scalings
    psi: _Array
    """The products of the kernels with 2^alpha, in the shape of beta."""
    errors: _Array
    """By how much the columns of each plan differ from the measure, `(L, K)`."""
    error: _Array
    """The largest of them where λ > 0; debiased, also that of the barycenter's own plan, `(L,)`."""
    history: _Array
    """The values that were computed, up to the last one, `(·, L)`."""
    n_iter: int
    status: str


def make_result(
    solution: Solution, at: int, weights: FloatArray, couplings: Sequence[Transport]
) -> Barycenter:
    """Make the result of one of the problems."""
    return Barycenter(
        weights=weights,
        value=to_scalar(solution.history[-1, at], weights.dtype),
        converged=solution.status == "optimal",
        n_iter=solution.n_iter,
        error=float(solution.error[at]),
        couplings=couplings,
        history=solution.history[:, at].copy(),
    )


def reached(problem: Problem) -> NDArray[np.bool_]:
    """Return which points of the support have a way to all measures of positive weight, for one problem.

    Raises
    ------
    InfeasibleError
        If there is none, or if a point of a measure has no way to any of them.
    """
    used = problem.weights[0] > 0.0
    is_reached = (problem.kernel.to_support(problem.log_b[None])[0][used] > -math.inf).all(0)
    start = np.where(is_reached, 0.0, -math.inf)
    psi = problem.kernel.to_measures(np.tile(start, (1, len(used), 1)))
    is_lost = (psi[0] == -math.inf) & (problem.log_b > -math.inf)
    if not is_reached.any() or (problem.kernel.per_measure(is_lost[None].astype(float))[0][used] > 0.0).any():
        raise InfeasibleError(_INFEASIBLE)
    return is_reached  # type: ignore[no-any-return]


@dataclass
class Ascent:
    """The account of a quasi-Newton method: what its callback knows."""

    tol: float
    report: Monitor | None
    iteration: int = 0
    error: float = math.inf
    value: float = math.nan
    status: str = "iteration_limit"
    history: list[float] = field(default_factory=list)

    def listen(self, _: object) -> None:
        """Count an iteration of SciPy's, and end the work if that is wanted or `error` is small."""
        self.iteration += 1
        self.history.append(self.value)
        if self.report is not None and self.report(self.iteration, self.error, self.value):
            self.status = "stopped"
            raise StopIteration
        if self.error <= 0.5 * self.tol:
            raise StopIteration


def join(solutions: Sequence[Solution]) -> Solution:
    """Make one solution of those of single problems; shorter histories are continued."""
    length = max(len(solution.history) for solution in solutions)
    padded = [
        np.pad(solution.history, ((0, length - len(solution.history)), (0, 0)), mode="edge")
        for solution in solutions
    ]
    status = next((solution.status for solution in solutions if solution.status != "optimal"), "optimal")

    def all_of(part: Callable[[Solution], _Array]) -> _Array:
        return np.concatenate([part(solution) for solution in solutions])

    names = [one.name for one in fields(Scalings)]
    scalings = {name: np.concatenate([getattr(s.scalings, name) for s in solutions]) for name in names}
    return Solution(
        Scalings(**scalings),
        psi=all_of(lambda s: s.psi),
        errors=all_of(lambda s: s.errors),
        error=all_of(lambda s: s.error),
        history=np.concatenate(padded, axis=1),
        n_iter=max(solution.n_iter for solution in solutions),
        status=status,
    )


def finish(
    problem: Problem, alpha: _Array, log_w: _Array | None, n_iter: int, psi: _Array | None = None
) -> Solution:
    """Make plans from scalings alpha with the rows `log_w`; None: what lies nearest to all of their rows."""
    start = np.zeros((len(alpha), problem.size))
    before = Scalings(start, alpha, start, problem.log_b, start, np.zeros(len(alpha)))
    now = _project(problem, before, problem.kernel.to_measures(alpha) if psi is None else psi)
    if log_w is not None:
        now = replace(now, log_w=log_w, alpha=_missing(log_w, now.alpha, now.log_w))
    now, psi = _scale_to_mass(problem, now, problem.kernel.to_measures(now.alpha))
    value, errors = _judge(problem, now, psi)
    error = np.where(problem.weights > 0.0, errors, 0.0).max(-1)
    return Solution(now, psi, errors, error, value[None], n_iter, "optimal")


def complete(problem: Problem, alpha: _Array, ascent: Ascent, tol: float, max_iter: int) -> Solution:
    """Finish what a quasi-Newton method began with projections, which a single problem needs at least once.

    Such a method sees no gradient below the root of the rounding of its objective; projections do.
    """
    is_stopped = ascent.status == "stopped"
    done, report = ascent.iteration, ascent.report
    following: Monitor | None = None
    if report is not None and not is_stopped:
        following = lambda iteration, error, value: report(done + iteration, error, value)  # noqa: E731
    solution = solve(problem, tol, 1 if is_stopped else max_iter - done, following, alpha[None])
    return replace(
        solution,
        history=np.concatenate([np.array(ascent.history).reshape(-1, 1), solution.history]),
        status=ascent.status if is_stopped else solution.status,
        n_iter=done if is_stopped else done + solution.n_iter,
    )


def _missing(log_w: _Array, alpha: _Array, from_w: _Array) -> _Array:
    """Return the alpha of other rows."""
    phi = from_w[:, None] - alpha
    return np.where(phi > -math.inf, log_w[:, None] - phi, -math.inf)


def scaled(log_w: _Array, mass: float) -> _Array:
    """Return histograms, in logarithms, with this mass."""
    return log_w + _shift(log_w, mass)


def _shift(log_w: _Array, mass: float) -> _Array:
    top = log_w.max(-1, keepdims=True)
    return np.log2(mass / np.exp2(log_w - top).sum(-1, keepdims=True)) - top  # type: ignore[no-any-return]


def solve(
    problem: Problem, tol: float, max_iter: int, report: Monitor | None, alpha: _Array | None = None
) -> Solution:
    """Project until all plans have the marginals of the measures up to `tol`, in L1 relative to their mass.

    Every iteration gives the plans their marginals b_k, then the w that lies nearest to all of them in the
    sense of KL: the rows are right at any time, and w has the mass of the measures. The start is u = 1 or
    the scalings alpha.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return _solve(problem, tol, max_iter, report, alpha)


def _solve(
    problem: Problem, tol: float, max_iter: int, report: Monitor | None, alpha: _Array | None
) -> Solution:
    kernel = problem.kernel
    # Where nobody listens, this constant need not be better known than the rest.
    of_measures = _value_of_measures(problem, _FINE) if report is not None else None
    count, k = problem.weights.shape
    zeros = np.zeros((count, problem.size))
    if alpha is None:
        alpha = np.zeros((count, k, problem.size))
        psi = kernel.of_ones(problem.size, count)
    else:
        psi = kernel.to_measures(alpha)
    log_d = zeros if not problem.debiased else zeros + 0.5 * math.log2(problem.mass)
    now = Scalings(zeros, alpha, zeros, problem.log_b, log_d, np.zeros(count))
    history: list[_Array] = []
    status = "iteration_limit"
    iteration = 0
    while status == "iteration_limit" and iteration < max_iter:
        # Plans are compared with the measures where somebody listens, and now and then.
        step = 1 if report is not None else _PERIOD if tol > 0.0 else max_iter
        step = min(step, max_iter - iteration)
        now, psi = _project_often(problem, now, psi, step)
        iteration += step
        now, psi = _scale_to_mass(problem, now, psi)
        value, errors = _judge(problem, now, psi)
        error = np.maximum(np.where(problem.weights > 0.0, errors, 0.0).max(-1), now.self_error)
        history.append(value if of_measures is None else value - of_measures)
        if tol > 0.0 and error.max() <= tol:
            status = "optimal"
        if report is not None and report(iteration, float(error.max()), float(history[-1][0])):
            status = "stopped"
    values = np.stack(history)
    if of_measures is None:
        values -= _value_of_measures(problem, max(0.1 * float(error.max()), _FINE))
    return Solution(now, psi, errors, error, values, iteration, status)


def _project_often(problem: Problem, now: Scalings, psi: _Array, count: int) -> tuple[Scalings, _Array]:
    """Do `count` iterations; `psi` are the products of the kernels with 2^alpha, before and after."""
    kernel = problem.kernel
    if kernel.projector is not None and problem.is_plain:
        after = kernel.projector(problem.b, problem.weights, psi.reshape(-1, psi.shape[-1]), count)
        if after is not None:
            log_w = after["log_w"]
            alpha, beta = after["alpha"].reshape(now.alpha.shape), after["beta"].reshape(psi.shape)
            scalings = Scalings(log_w, alpha, log_w, beta, now.log_d, now.self_error)
            return scalings, after["psi"].reshape(psi.shape)
        kernel.projector = None  # what has left the range of doubles once does not return
    for _ in range(count):
        now = _project(problem, now, psi)
        psi = kernel.to_measures(now.alpha)
    return now, psi


def _project(problem: Problem, before: Scalings, psi: _Array) -> Scalings:
    """Do one iteration; `psi` are the products of the kernels with 2^alpha."""
    beta = problem.log_b - psi
    if not problem.is_positive:
        beta[:, problem.log_b == -math.inf] = -math.inf
    if problem.debiased:
        # One more function in the same product.
        both = problem.kernel.to_support(np.concatenate([beta, before.log_d[:, None]], axis=1))
        phi, of_d = both[:, :-1], both[:, -1]
    else:
        phi = problem.kernel.to_support(beta)
    mean_phi = _mean(problem.weights, phi)
    log_w = mean_phi + before.log_d
    if problem.debiased:
        log_w = scaled(log_w, problem.mass)  # as the plan from it to itself must have it
    if problem.entropy_bound is not None:
        # The multiplier of the bound is what the last scalings of rows do not cancel.
        raised = log_w + (before.log_w - before.mean_phi)
        log_w = np.stack([sharpen(row, problem.mass, problem.entropy_bound) for row in raised])
    alpha = log_w[:, None] - phi
    if phi.min() == -math.inf:
        alpha[phi == -math.inf] = -math.inf
    if not problem.debiased:
        return Scalings(log_w, alpha, mean_phi, beta, before.log_d, before.self_error)
    log_d, self_error = _balance(of_d, before.log_d, log_w, problem.mass)
    return Scalings(log_w, alpha, mean_phi, beta, log_d, self_error)


def _scale_to_mass(problem: Problem, now: Scalings, psi: _Array) -> tuple[Scalings, _Array]:
    """Give the barycenters, and so all plans, the mass of the measures."""
    shift = _shift(now.log_w, problem.mass)
    if not np.isfinite(shift).all():
        raise InfeasibleError(_INFEASIBLE)
    scaled = replace(now, log_w=now.log_w + shift, alpha=now.alpha + shift[..., None])
    return scaled, psi + shift.reshape(-1, *[1] * (psi.ndim - 1))


def _judge(problem: Problem, now: Scalings, psi: _Array) -> tuple[_Array, _Array]:
    """Return the values `(L,)` of the plans as they are, and the errors of their columns `(L, K)`."""
    columns = np.exp2(now.beta + psi)
    errors = problem.kernel.per_measure(np.abs(columns - problem.b)) / problem.mass
    w = np.exp2(now.log_w)
    # log P = alpha + beta − C/ε cancels the cost.
    logarithms = now.beta if problem.is_positive else np.where(problem.b > 0.0, now.beta, 0.0)
    of_columns = problem.kernel.per_measure(logarithms * columns)
    of_rows = np.where(w > 0.0, w * (now.log_w - now.mean_phi), 0.0).sum(-1)
    value = of_rows + (problem.weights * of_columns).sum(-1)
    if problem.debiased:
        value = value - (w * np.where(w > 0.0, now.log_d, 0.0)).sum(-1)
    return problem.epsilon * _LN2 * value, errors


def _mean(weights: _Array, phi: _Array) -> _Array:
    """Return Σ_k λ_k φ_k, where 0 · (−∞) is 0."""
    if not (weights > 0.0).all():
        phi = np.where(weights[..., None] > 0.0, phi, 0.0)
    return np.einsum("lk,lkn->ln", weights, phi)  # type: ignore[no-any-return]


def _balance(product: _Array, log_d: _Array, log_w: _Array, mass: float) -> tuple[_Array, _Array]:
    """Bring diag(d) exp(−C/ε) diag(d) nearer to the marginals w: half a step of Sinkhorn's in the logarithm.

    `product` is that of the kernel with d. Returns also by how much the marginals were missed before.
    """
    error = np.abs(np.exp2(log_d + product) - np.exp2(log_w)).sum(-1) / mass
    return np.where(log_w > -math.inf, 0.5 * (log_d + log_w - product), -math.inf), error


def _value_of_measures(problem: Problem, tol: float) -> float | _Array:
    """Return ½ Σ_k λ_k OT(b_k, b_k), the constant of a debiased problem, from plans of that error."""
    if not problem.debiased:
        return 0.0
    log_d = np.where(problem.log_b > -math.inf, 0.5 * math.log2(problem.mass), -math.inf)
    for _ in range(_MOST_SELF_ITERATIONS):
        product = problem.kernel.to_support(log_d[None])[0]
        log_d, error = _balance(product, log_d, problem.log_b, problem.mass)
        if error.max() <= tol:
            break
    half = problem.epsilon * _LN2 * np.where(problem.b > 0.0, problem.b * log_d, 0.0).sum(-1)
    return problem.weights @ half  # type: ignore[no-any-return]


#: The error of plans whose value is as good as exact: it is off by the square.
_FINE = 1e-9

#: Enough for any temperature: the steps of `_balance` contract by about a half.
_MOST_SELF_ITERATIONS = 1000
