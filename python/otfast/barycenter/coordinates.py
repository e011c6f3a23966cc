"""Which weights make the barycenter of some measures look like a given histogram."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from otfast import _entropic_solve
from otfast._entropic_result import check_status
from otfast._entropic_validation import check_epsilon, check_tol
from otfast._validation import FloatArray, as_array, check_choice, check_count
from otfast.barycenter._validation import check_histograms, check_measures, check_symmetric
from otfast.barycenter.unrolled import barycenter_unrolled
from otfast.cost import Cost, as_cost
from otfast.progress import Progress, Reporter
from otfast.result import to_scalar

__all__ = ["Coordinates", "coordinates"]

_Array = NDArray[np.float64]

#: A loss and its gradient at a fit.
_Loss = Callable[[_Array], tuple[float, _Array]]

_LOSSES = ("sqeuclidean", "kl", "wasserstein")


@dataclass(frozen=True, eq=False, repr=False)
class Coordinates:
    """Barycentric coordinates of a histogram.

    Attributes
    ----------
    weights : ndarray, shape (K,)
        The λ_k, not negative and of sum 1.
    fit : ndarray, shape (n,)
        The barycenter with these weights: the projection on the Wasserstein simplex of the measures.
    loss : float
        How far that is from the target.
    history : ndarray
        The loss from uniform weights to `loss`.
    converged : bool
        Whether the gradient vanishes along the simplex, up to `error`.
    n_iter : int
        The number of iterations.
    error : float
        The distance between λ and the projection of λ − ∇ on the simplex, for the loss relative to the first.
    """

    weights: _Array
    fit: FloatArray
    loss: float
    history: _Array
    converged: bool
    n_iter: int
    error: float

    def __repr__(self) -> str:
        weights = np.array2string(self.weights, precision=4, separator=", ")
        return f"Coordinates({weights}, loss={self.loss:.4g}, {self.n_iter} iterations)"


def coordinates(
    target: ArrayLike,
    measures: ArrayLike,
    C: ArrayLike | Cost,
    *,
    epsilon: float,
    n_iter: int = 50,
    loss: str = "sqeuclidean",
    tol: float | None = None,
    max_iter: int = 200,
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
) -> Coordinates:
    r"""Find the weights whose barycenter is nearest to a histogram.

    .. math:: \min_{\lambda \ge 0, \sum_k \lambda_k = 1} \mathcal{L}(w_L(\lambda), q),

    where w_L(λ) is the barycenter after L Bregman projections, see `barycenter_unrolled`.

    Parameters
    ----------
    target : array_like, shape (n,)
        The histogram q.
    measures : array_like, shape (K, m)
        The histograms b_k, of the mass of the target.
    C : array_like, shape (n, m), or Cost
        The cost between the points of the target and those of the measures.
    epsilon : float
        The temperature ε > 0 of the barycenter.
    n_iter : int, default 50
        The number L of projections.
    loss : {"sqeuclidean", "kl", "wasserstein"}, default "sqeuclidean"
        ``"sqeuclidean"``: ‖w − q‖². ``"kl"``: Σ q log(q/w). ``"wasserstein"``: the Sinkhorn divergence
        S(w, q) at the same ε, which needs m = n and a symmetric C; it sees how far mass lies apart.
    tol : float, optional
        The error at which to stop; 1e-6 by default.
    max_iter : int, default 200
        Largest number of iterations, which take some evaluations each.
    callback : callable, optional
        Called with a `Progress` after every iteration; returning True stops the solver.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    Coordinates

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.

    Warns
    -----
    ConvergenceWarning
        If the work ends before the gradient vanishes.

    Notes
    -----
    Sequential quadratic programming, so that weights may be exactly zero, with the exact gradient of the
    L-step algorithm: about 8 L products of the kernel with K vectors for each evaluation. The loss is not
    convex; what is found is a local minimum.

    References
    ----------
    .. [1] Bonneel, Peyré and Cuturi, "Wasserstein barycentric coordinates: histogram regression using optimal
       transport", 2016.

    Examples
    --------
    >>> import numpy as np, otfast as otf
    >>> x = np.linspace(0.0, 1.0, 20)
    >>> B = np.exp(-((x - np.array([[0.2], [0.8]])) ** 2) / 0.01)
    >>> B /= B.sum(1, keepdims=True)
    >>> target = np.exp(-((x - 0.35) ** 2) / 0.01)
    >>> found = otf.barycenter.coordinates(target / target.sum(), B, otf.Grid(x), epsilon=0.01)
    >>> found.weights.round(2)
    array([0.75, 0.25])
    """
    cost = as_cost(C)
    n, m = cost.shape
    q = as_array("target", target)
    if q.shape != (n,):
        raise ValueError(f"target must have the shape ({n},), but its shape is {q.shape}")
    b, _, dtype = check_histograms("measures", measures, m)
    balanced, _ = check_measures("target and measures", [q, *b])
    q_checked = balanced[0]
    check_choice("loss", loss, _LOSSES)
    epsilon = check_epsilon(epsilon, cost.bounds(), cost.dtype)
    n_iter, max_iter = check_count("n_iter", n_iter), check_count("max_iter", max_iter)
    tol = check_tol(tol, np.dtype(np.float64))
    dtype = np.result_type(dtype, cost.dtype)
    search = _Search(
        np.stack(balanced[1:]), cost, epsilon, n_iter, _loss(loss, q_checked, cost, epsilon), tol
    )
    with Reporter(callback, progress, "coordinates") as reporter:
        return search.run(max_iter, reporter, dtype)


class _Search:
    """Sequential quadratic programming on the simplex, for the loss relative to that of uniform weights."""

    def __init__(
        self, measures: _Array, cost: Cost, epsilon: float, n_iter: int, loss: _Loss, tol: float
    ) -> None:
        self._measures = measures
        self._cost = cost
        self._epsilon = epsilon
        self._n_iter = n_iter
        self._loss = loss
        self._tol = tol
        self._known: dict[bytes, tuple[float, _Array, _Array]] = {}
        self._scale = 1.0

    def run(self, max_iter: int, reporter: Reporter, dtype: np.dtype[Any]) -> Coordinates:
        """Search from uniform weights."""
        count = len(self._measures)
        start = np.full(count, 1.0 / count)
        first = self._evaluate(start)[0]
        self._scale = first if first > 0.0 else 1.0
        best = start
        history = [first]
        status = "optimal" if self._error(start) <= self._tol else "iteration_limit"

        def listen(weights: _Array) -> None:
            nonlocal best, status
            at = _on_simplex(weights)
            value = self._evaluate(at)[0]
            history.append(value)
            if value <= self._evaluate(best)[0]:
                best = at
            error = self._error(at)
            if reporter.monitor is not None and reporter.monitor(len(history) - 1, error, value):
                status = "stopped"
                raise StopIteration
            if error <= self._tol:
                status = "optimal"
                raise StopIteration

        if status != "optimal":
            optimize.minimize(
                lambda weights: self._relative(_on_simplex(weights)),
                start,
                jac=True,
                method="SLSQP",
                bounds=[(0.0, 1.0)] * count,
                constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
                callback=listen,
                options={"maxiter": max_iter, "ftol": 1e-16},
            )
        value, _, fit = self._evaluate(best)
        error = self._error(best)
        # Where the loss is at its rounding, there is no further decrease to find.
        if status == "iteration_limit" and (error <= self._tol or value <= 1e-12 * self._scale):
            status = "optimal"
        check_status(status, self._tol, error)
        return Coordinates(
            weights=best,
            fit=fit.astype(dtype),
            loss=to_scalar(value, dtype),
            history=np.array([*history, value] if history[-1] != value else history),
            converged=status == "optimal",
            n_iter=len(history) - 1,
            error=error,
        )

    def _relative(self, weights: _Array) -> tuple[float, _Array]:
        value, gradient, _ = self._evaluate(weights)
        return value / self._scale, gradient / self._scale

    def _evaluate(self, weights: _Array) -> tuple[float, _Array, _Array]:
        """Return the loss, its gradient in the weights, and the barycenter; the last few are remembered."""
        key = weights.tobytes()
        if key not in self._known:
            unrolled = barycenter_unrolled(
                self._measures, self._cost, weights, epsilon=self._epsilon, n_iter=self._n_iter
            )
            fit = unrolled.weights.astype(np.float64)
            value, slope = self._loss(fit)
            if len(self._known) >= 4:
                self._known.pop(next(iter(self._known)))
            self._known[key] = value, unrolled.vjp(slope)[0], fit
        return self._known[key]

    def _error(self, weights: _Array) -> float:
        gradient = self._relative(weights)[1]
        return float(np.abs(weights - _project(weights - gradient)).max())


def _on_simplex(weights: _Array) -> _Array:
    """Remove what a solver leaves of negative weights, and of a sum other than 1."""
    positive = np.maximum(weights, 0.0)
    return positive / positive.sum()  # type: ignore[no-any-return]


def _project(x: _Array) -> _Array:
    """Project on the simplex: x − t, cut at zero, for the t at which the sum is 1."""
    ordered = np.sort(x)[::-1]
    thresholds = (np.cumsum(ordered) - 1.0) / np.arange(1, x.size + 1)
    threshold = float(thresholds[np.flatnonzero(ordered > thresholds)[-1]])
    return np.maximum(x - threshold, 0.0)


def _loss(name: str, q: _Array, cost: Cost, epsilon: float) -> _Loss:
    if name == "sqeuclidean":
        return lambda w: (float(((w - q) ** 2).sum()), 2.0 * (w - q))
    if name == "kl":
        return lambda w: _divergence(q, w)
    check_symmetric(cost, "loss 'wasserstein'")
    return _sinkhorn_divergence(q, cost, epsilon)


def _divergence(q: _Array, w: _Array) -> tuple[float, _Array]:
    """Return KL(q | w), where masses are equal, and its gradient in w."""
    has_mass = q > 0.0
    least = np.maximum(w, np.finfo(np.float64).tiny)
    ratio = np.where(has_mass, q / least, 0.0)
    return float(q[has_mass] @ np.log(ratio[has_mass])), -ratio


def _sinkhorn_divergence(q: _Array, cost: Cost, epsilon: float) -> _Loss:
    def transport(a: _Array, b: _Array) -> tuple[float, _Array]:
        balanced = math.inf, math.inf
        raw, _ = _entropic_solve.solve(cost, a, b, epsilon, balanced, "auto", 1e-9, 10_000, None, None, None)
        return raw["value"], raw["potential_a"]

    of_target = transport(q, q)[0]

    def loss(w: _Array) -> tuple[float, _Array]:
        across, f = transport(w, q)
        within, own = transport(w, w)
        return across - 0.5 * (within + of_target), f - own

    return loss
