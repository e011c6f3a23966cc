"""Barycenters on a given support."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._entropic_result import check_status
from otfast._entropic_validation import check_epsilon, check_tol
from otfast._validation import FloatArray, as_array, check_choice, check_count
from otfast.barycenter import _bregman, _certified, _descent, _semidual
from otfast.barycenter._couplings import Couplings
from otfast.barycenter._kernels import LogKernel, SeparateKernels, SharedKernel, log_sums_of
from otfast.barycenter._result import Barycenter, CertifiedBarycenter
from otfast.barycenter._validation import check_barycentric_weights, check_measures, check_symmetric
from otfast.cost import Cost, as_cost
from otfast.progress import Progress, Reporter
from otfast.result import to_scalar

__all__ = ["fixed_support"]

_Array = NDArray[np.float64]

_METHODS = ("lp", "ibp", "ibp-debiased", "semidual", "descent")

_MOST_ITERATIONS = 10_000


def fixed_support(
    B: ArrayLike | Sequence[ArrayLike],
    C: ArrayLike | Cost | Sequence[ArrayLike | Cost],
    weights: ArrayLike | None = None,
    *,
    method: str = "ibp",
    epsilon: float | None = None,
    conjugate: Callable[[_Array], tuple[float, ArrayLike]] | None = None,
    tol: float | None = None,
    max_iter: int | None = None,
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
) -> Barycenter | list[Barycenter]:
    r"""Compute the barycenter of histograms on a support that is given through its costs.

    .. math:: \min_w \sum_k \lambda_k \min_{P_k \ge 0}
        \langle P_k, C_k \rangle + \varepsilon \sum_{ij} P_{k,ij} \log P_{k,ij}
        \quad \text{subject to} \quad P_k 1 = w, \; P_k^\top 1 = b_k,

    exactly, with ε = 0 (``method="lp"``), or regularised by the entropy of the plans.

    Parameters
    ----------
    B : array_like, shape (K, m), or sequence of K vectors
        Histograms b_k of the same mass, not negative, on one support or on supports of their own.
    C : array_like, shape (n, m), or Cost, or a sequence of K of them, shapes (n, m_k)
        Costs C_k between the points of the barycenter and those of the measures; one for all, or one each.
        ``+inf`` forbids a pair. A `Grid` acts axis by axis, an array becomes a kernel in memory (n·m numbers
        more), a `PointCloud` is computed in every pass.
    weights : array_like, shape (K,) or (L, K), optional
        The λ_k, not negative; their sum is scaled to 1. L rows make L barycenters in one call. None means
        1/K each.
    method : {"lp", "ibp", "ibp-debiased", "semidual", "descent"}, default "ibp"
        ``"lp"``: the linear program without regularisation, with bounds of its optimum from both sides:
        HiGHS where it is small, an interior-point method on its structure, and beyond that the entropic dual
        at falling temperatures. ``"ibp"``: iterative Bregman projections. ``"ibp-debiased"``: the same for
        Sinkhorn divergences, Σ_k λ_k S(w, b_k), which do not blur; C is symmetric, `(n, n)`. ``"semidual"``:
        L-BFGS on the semi-dual, which needs fewer iterations at small ε, and takes a `conjugate`.
        ``"descent"``: L-BFGS on log w, with K transport problems solved in each step.
    epsilon : float
        The temperature ε > 0, in units of the costs; ``"lp"`` has none.
    conjugate : callable, optional
        With ``"semidual"``: the convex conjugate J* of a term J(w) that is added to the objective, a function
        u ↦ (J*(u), ∇J*(u)), smooth and finite for all u `(n,)`. For J = γ/2 ‖w − w₀‖² that is
        ⟨u, w₀⟩ + ‖u‖²/2γ and w₀ + u/γ.
    tol : float, optional
        The error at which to stop; 1e-6 by default, 1e-5 for `float32` costs. With 0, exactly `max_iter`
        iterations are made; ``"lp"`` goes as far as it can.
    max_iter : int, optional
        Largest number of iterations; 10 000 by default, ``"lp"``: of interior points, or of evaluations of
        the entropic dual, as many as they need.
    callback : callable, optional
        Called with a `Progress` after every iteration; returning True stops the solver.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    Barycenter
        `weights` `(n,)` has the mass of the measures, converged or not; `error` is the largest L1 difference
        between a measure of positive λ_k and the marginal of its plan, relative to the mass. For ``"lp"`` a
        `CertifiedBarycenter`: plans are exact, and `error` is the relative gap between `value` and
        `lower_bound`. A list of L for L rows of weights.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.
    InfeasibleError
        If forbidden pairs leave no barycenter.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or the callback ends the work early.

    Notes
    -----
    An iteration of ``"ibp"`` takes two products of each kernel with K vectors; with an array that is 4 K n m
    operations in the precision of the cost. All is computed in logarithms: there is no ε at which the kernel
    underflows, but where exponents C/ε range over more than 600 (80 in single precision) a product takes an
    exponential for each pair.

    References
    ----------
    .. [1] Benamou, Carlier, Cuturi, Nenna and Peyré, "Iterative Bregman projections for regularized
       transportation problems", 2015: proposition 2.
    .. [2] Cuturi and Peyré, "A smoothed dual approach for variational Wasserstein problems", 2016:
       proposition 3.1 and section 4.
    .. [3] Cuturi and Doucet, "Fast computation of Wasserstein barycenters", 2014: proposition 2.
    .. [4] Janati, Cuturi and Gramfort, "Debiased Sinkhorn barycenters", 2020: algorithm 1.

    Examples
    --------
    >>> import numpy as np, otfast as otf
    >>> x = np.linspace(0.0, 1.0, 5)
    >>> B = [[0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0]]
    >>> result = otf.barycenter.fixed_support(B, otf.Grid(x), [0.5, 0.5], epsilon=0.01)
    >>> result.weights.round(4)
    array([0.    , 0.0019, 0.9962, 0.0019, 0.    ])
    >>> otf.barycenter.fixed_support(B, otf.Grid(x), [0.2, 0.8], method="lp").weights
    array([0., 0., 0., 1., 0.])
    """
    check_choice("method", method, _METHODS)
    costs = _as_costs(C)
    b, mass = check_measures("B", _as_measures(B))
    _check_shapes(b, costs)
    lambdas, is_batch = check_barycentric_weights(weights, len(b))
    dtype = np.result_type(*(cost.dtype for cost in costs))
    tol = check_tol(tol, dtype)
    max_iter = None if max_iter is None else check_count("max_iter", max_iter)
    if conjugate is not None and (method != "semidual" or not callable(conjugate)):
        raise ValueError("conjugate must be a callable, and goes with method='semidual'")
    if method == "lp":
        if epsilon is not None:
            raise ValueError("method 'lp' has no epsilon; leave it out, or choose another method")
        exact = _solve_exactly(b, costs, lambdas, tol, max_iter, Reporter(callback, progress, method))
        return exact if is_batch else exact[0]
    if epsilon is None:
        raise ValueError(f"method {method!r} needs an epsilon")
    for cost in costs:
        epsilon = check_epsilon(epsilon, cost.bounds(), cost.dtype)
    max_iter = _MOST_ITERATIONS if max_iter is None else max_iter
    is_debiased = method == "ibp-debiased"
    if is_debiased:
        if len(costs) > 1:
            raise ValueError("method 'ibp-debiased' needs one cost C for all histograms")
        check_symmetric(costs[0], "method 'ibp-debiased'")

    with Reporter(callback, progress, method) as reporter, np.errstate(divide="ignore"):
        kernel = _kernel(costs, b, epsilon, reporter)
        histograms = np.stack(b) if len(costs) == 1 else np.concatenate(b)
        problem = _bregman.Problem(kernel, costs[0].shape[0], histograms, mass, lambdas, epsilon, is_debiased)
        if method == "semidual":
            solution = _semidual.solve(problem, conjugate, tol, max_iter, reporter.monitor)
        elif method == "descent":
            solution = _descent.solve(problem, costs, b, tol, max_iter, reporter.monitor)
        else:
            solution = _bregman.solve(problem, tol, max_iter, reporter.monitor)
    check_status(solution.status, tol, float(solution.error.max()))
    results = []
    for at, log_w in enumerate(solution.scalings.log_w):
        w = np.exp2(log_w)
        couplings = Couplings(problem, solution, at, costs, b, w)
        results.append(_bregman.make_result(solution, at, w.astype(dtype), couplings))
    return results if is_batch else results[0]


def _solve_exactly(
    b: Sequence[_Array],
    costs: Sequence[Cost],
    lambdas: _Array,
    tol: float,
    max_iter: int | None,
    reporter: Reporter,
) -> list[Barycenter]:
    each = list(costs) if len(costs) > 1 else [costs[0]] * len(b)
    dtype = np.result_type(*(cost.dtype for cost in costs))
    results: list[Barycenter] = []
    worst, stopped = 0.0, False
    with reporter:
        for weights in lambdas:
            found = _certified.solve(b, each, weights, tol=tol, max_iter=max_iter, monitor=reporter.monitor)
            worst, stopped = max(worst, found.error), stopped or found.stopped
            results.append(
                CertifiedBarycenter(
                    weights=found.weights.astype(dtype),
                    value=to_scalar(found.value, dtype),
                    converged=found.error <= tol and not found.stopped,
                    n_iter=found.n_iter,
                    error=found.error,
                    couplings=found.couplings,
                    history=found.history,
                    lower_bound=found.lower_bound,
                    potentials=found.potentials,
                )
            )
            if reporter.monitor is not None:
                reporter.finish(found.n_iter, found.error, found.value)
    status = "stopped" if stopped else "optimal" if worst <= tol else "iteration_limit"
    check_status(status, tol, worst)
    return results


def _as_costs(C: Any) -> list[Cost]:
    is_list = isinstance(C, list | tuple) and all(isinstance(c, Cost) or np.ndim(c) == 2 for c in C)
    if is_list and len(C) == 0:
        raise ValueError("C must hold at least one cost")
    return [as_cost(c) for c in C] if is_list else [as_cost(C)]


def _as_measures(B: Any) -> list[FloatArray]:
    try:
        measures = [as_array(f"B[{k}]", b) for k, b in enumerate(B)]
    except TypeError:
        raise ValueError("B must be a sequence of histograms") from None
    if not measures or any(b.ndim != 1 or b.size == 0 for b in measures):
        raise ValueError("B must hold at least one histogram, and each of them must be a non-empty vector")
    return measures


def _check_shapes(b: Sequence[_Array], costs: Sequence[Cost]) -> None:
    if len(costs) not in (1, len(b)):
        raise ValueError(f"C must be one cost or {len(b)}, one for each histogram of B, not {len(costs)}")
    for k, histogram in enumerate(b):
        cost = costs[k if len(costs) > 1 else 0]
        if histogram.size != cost.shape[1]:
            raise ValueError(f"B[{k}] has {histogram.size} entries, but its cost has the shape {cost.shape}")
        if cost.shape[0] != costs[0].shape[0]:
            raise ValueError(
                f"all costs in C must have a row for each point of the barycenter, but C[0] has "
                f"{costs[0].shape[0]} rows and C[{k}] has {cost.shape[0]}"
            )


def _kernel(costs: Sequence[Cost], b: Sequence[_Array], epsilon: float, reporter: Reporter) -> LogKernel:
    log_sums = [log_sums_of(cost, epsilon, reporter.repeater) for cost in costs]
    if len(log_sums) == 1:
        return SharedKernel(log_sums[0], len(b))
    return SeparateKernels(log_sums, [histogram.size for histogram in b])
