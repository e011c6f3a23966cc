"""Barycenters of images: kernels that act axis by axis, or through an operator of the user's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._entropic_result import check_status
from otfast._entropic_validation import check_epsilon, check_tol
from otfast._validation import as_array, check_count, check_real
from otfast.barycenter import _bregman
from otfast.barycenter._couplings import Couplings
from otfast.barycenter._kernels import SharedKernel, log_sums_of, log_sums_of_operator
from otfast.barycenter._result import Barycenter
from otfast.barycenter._validation import check_barycentric_weights, check_measures
from otfast.cost import Grid
from otfast.progress import Progress, Reporter

__all__ = ["convolutional"]

_Array = NDArray[np.float64]


def convolutional(
    images: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    epsilon: float,
    axes: Sequence[ArrayLike] | None = None,
    debiased: bool = False,
    entropy_bound: float | None = None,
    operator: Callable[[_Array], ArrayLike] | None = None,
    tol: float | None = None,
    max_iter: int = 10_000,
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
) -> Barycenter | list[Barycenter]:
    r"""Compute the barycenter of images, volumes, or functions on any domain whose kernel is fast to apply.

    .. math:: \min_w \sum_k \lambda_k \min_{P_k \in \Pi(w, b_k)}
        \langle P_k, C \rangle + \varepsilon \sum_{ij} P_{k,ij} \log P_{k,ij}

    by iterative Bregman projections, where C is the squared distance between pixels: the kernel exp(−C/ε) is
    a product over the axes.

    Parameters
    ----------
    images : array_like, shape (K, n_1, ..., n_d)
        Histograms on one grid, not negative, of the same mass; zeros are allowed.
    weights : array_like, shape (K,) or (L, K), optional
        The λ_k, not negative; their sum is scaled to 1. L rows make L barycenters in one call. None means
        1/K each.
    epsilon : float
        The temperature ε > 0, in units of C. The result is blurred by a Gaussian of variance about ε/2.
    axes : sequence of d vectors, optional
        Coordinates of the pixels along each axis; ``linspace(0, 1, n_k)`` by default.
    debiased : bool, default False
        Whether to minimise the Sinkhorn divergences Σ_k λ_k S(w, b_k) instead, which do not blur.
    entropy_bound : float, optional
        A bound on the entropy −Σ w log w of the result, which sharpens it. No smaller entropy than that of
        one point can be asked for.
    operator : callable, optional
        A symmetric kernel to use instead of that of the grid: called with a matrix `(N, k)`, N = Π n_k, it
        returns exp(−C/ε) times it. On a surface or a graph that is the flow of heat for a time of ε/4.
        Its results have no `couplings`.
    tol : float, optional
        The error at which to stop; 1e-6 by default, 1e-5 for `float32` images. With 0, exactly `max_iter`
        iterations are made.
    max_iter : int, default 10_000
        Largest number of iterations; each applies the kernel twice to K images (debiased: 2 K + 1).
    callback : callable, optional
        Called with a `Progress` after every iteration; returning True stops the solver.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    Barycenter
        `weights` has the shape of an image and the mass of the images, converged or not. `error` is the
        largest L1 difference between an image of positive λ_k and the marginal of its plan, relative to the
        mass. `history` has the value after every iteration (with no callback after some of
        them). A list of L for L rows of weights.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or the callback ends the work early.

    Notes
    -----
    An iteration takes 4 K N Σ n_k multiplications. All is computed in logarithms, in double precision: there
    is no ε at which the kernel underflows, although it is fastest where the exponents of an image along an
    axis range over less than 600.

    References
    ----------
    .. [1] Benamou, Carlier, Cuturi, Nenna and Peyré, "Iterative Bregman projections for regularized
       transportation problems", 2015: proposition 1 and section 3.2.
    .. [2] Solomon et al., "Convolutional Wasserstein distances", 2015: algorithms 2 and 3.
    .. [3] Janati, Cuturi and Gramfort, "Debiased Sinkhorn barycenters", 2020: algorithm 1.

    Examples
    --------
    Two points, and what lies half way:

    >>> import numpy as np, otfast as otf
    >>> images = np.zeros((2, 1, 9))
    >>> images[0, 0, 1] = images[1, 0, 7] = 1.0
    >>> result = otf.barycenter.convolutional(images, epsilon=1e-3, debiased=True)
    >>> result.weights.round(3)
    array([[0., 0., 0., 0., 1., 0., 0., 0., 0.]])
    """
    stack = as_array("images", images)
    if stack.ndim < 2 or stack.size == 0:
        raise ValueError(
            f"images must have shape (K, n_1, ..., n_d) and at least one pixel, not {stack.shape}"
        )
    shape, dtype = stack.shape[1:], stack.dtype
    b, mass = check_measures("images", list(stack.reshape(len(stack), -1)))
    lambdas, is_batch = check_barycentric_weights(weights, len(stack))
    grid = _grid(shape, axes)
    epsilon = check_epsilon(epsilon, grid.bounds(), np.dtype(np.float64))
    if operator is not None and not callable(operator):
        raise ValueError(f"operator must be callable, not {operator!r}")
    if entropy_bound is not None:
        if debiased:
            raise ValueError("entropy_bound goes with debiased=False: a debiased barycenter is not blurred")
        entropy_bound = _check_entropy(entropy_bound, mass)
    tol = check_tol(tol, dtype)
    max_iter = check_count("max_iter", max_iter)

    with Reporter(callback, progress, "convolutional") as reporter, np.errstate(divide="ignore"):
        if operator is None:
            log_sums = log_sums_of(grid, epsilon, reporter.repeater)
        else:
            log_sums = log_sums_of_operator(operator)
        kernel = SharedKernel(log_sums, len(stack))
        problem = _bregman.Problem(
            kernel,
            b[0].size,
            np.stack(b),
            mass,
            lambdas,
            epsilon,
            debiased=debiased,
            entropy_bound=entropy_bound,
        )
        solution = _bregman.solve(problem, tol, max_iter, reporter.monitor)
    check_status(solution.status, tol, float(solution.error.max()))
    results = []
    for at, log_w in enumerate(solution.scalings.log_w):
        w = np.exp2(log_w)
        couplings = [] if operator else Couplings(problem, solution, at, [grid], b, w)
        results.append(_bregman.make_result(solution, at, w.reshape(shape).astype(dtype), couplings))
    return results if is_batch else results[0]


def _grid(shape: tuple[int, ...], axes: Sequence[ArrayLike] | None) -> Grid:
    if axes is None:
        return Grid(*(np.linspace(0.0, 1.0, size) for size in shape))
    vectors = [np.asarray(axis) for axis in axes]
    if tuple(vector.shape for vector in vectors) != tuple((size,) for size in shape):
        raise ValueError(
            f"axes must be {len(shape)} vectors of the lengths {shape}, not of the shapes "
            f"{[vector.shape for vector in vectors]}"
        )
    return Grid(*(as_array(f"axes[{k}]", axis).astype(np.float64) for k, axis in enumerate(axes)))


def _check_entropy(bound: Any, mass: float) -> float:
    lowest = -mass * math.log(mass)
    return check_real("entropy_bound", bound, lowest, strictly=True)
