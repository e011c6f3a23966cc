"""The Legendre transform of entropic transport in one of its marginals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._entropic_result import EntropicCoupling, GridCoupling, needs_double
from otfast._entropic_solve import full_pass
from otfast._entropic_validation import check_epsilon
from otfast._validation import FloatArray, as_array, check_finite, check_weights
from otfast.cost import Cost, Grid, as_cost
from otfast.errors import InfeasibleError
from otfast.result import to_scalar

_Array = NDArray[np.float64]


def semidual(
    b: ArrayLike | None, C: ArrayLike | Cost, epsilon: float, f: ArrayLike
) -> tuple[float, FloatArray]:
    r"""Evaluate the Legendre transform of entropic transport in its first marginal, and its gradient.

    .. math:: H^*(f) = \sup_a \, \langle f, a \rangle - W_\varepsilon(a, b)
        = \varepsilon \sum_j b_j \Big( \log \sum_i e^{(f_i - C_{ij})/\varepsilon} - \log b_j \Big),

    of the problem that is regularised by the entropy alone, whatever the mass of b,

    .. math:: W_\varepsilon(a, b) = \min_{P \ge 0} \Big\{ \langle P, C \rangle
        + \varepsilon \sum_{ij} P_{ij} \log P_{ij} \; : \; P 1 = a, \; P^\top 1 = b \Big\},

    with 0 log 0 = 0, and W_ε(a, b) = ∞ where the totals of a and b differ. The supremum is attained at the
    gradient alone.

    Parameters
    ----------
    b : array_like, shape (m,), or None
        Weights of the columns, not negative, of any total mass; None means 1/m each.
    C : array_like, shape (n, m), or Cost
        Cost of a unit of mass from i to j; ``+inf`` forbids a pair. Costs of points are never stored.
    epsilon : float
        The temperature ε > 0, in units of the cost.
    f : array_like, shape (n,)
        Where to evaluate: a potential of the rows, finite.

    Returns
    -------
    value : float
        H*(f).
    gradient : ndarray, shape (n,)
        The weights a at which ⟨f, a⟩ = W_ε(a, b) + H*(f): a_i = Σ_j b_j e^{(f_i − C_ij)/ε} / Σ_k e^{(f_k −
        C_kj)/ε}. They are not negative, and their total is that of b.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.
    InfeasibleError
        If a column of positive mass has only forbidden pairs.

    Notes
    -----
    H* is convex, smooth (its gradient is Lipschitz with constant Σ b / (2 ε)), and H*(f + c) = H*(f) + c Σ b
    for a number c. `sinkhorn` regularises by KL(P | a ⊗ b) instead: for measures of total mass s, W_ε(a, b)
    is its value plus ε (Σ a log a + Σ b log b + s − s²), and the derivative of W_ε in a is f + ε log a up to
    a constant, where f is `Transport.potential_a`.

    Three passes over the pairs, two of which take exponentials, in the precision of the cost (double
    precision where exponents of a `float32` cost range over more than 350), and O(n + m) memory; on a `Grid`
    they go axis by axis. All threads share the passes over large problems. Results do not depend on their
    number beyond rounding.

    References
    ----------
    .. [1] Cuturi and Peyré, "A smoothed dual approach for variational Wasserstein problems", 2016: the
       Legendre transform of entropic transport.
    .. [2] Peyré and Cuturi, "Computational Optimal Transport", 2019: section 5.

    Examples
    --------
    >>> import otfast as otf
    >>> value, gradient = otf.semidual([0.25, 0.75], [[0.0, 1.0], [2.0, 0.0]], 0.5, [0.0, 0.0])
    >>> round(value, 4)
    0.331
    >>> gradient.round(4)
    array([0.3349, 0.6651])
    """
    cost = as_cost(C)
    n, m = cost.shape
    weights, _, _ = check_weights("b", b, m)
    low, high = cost.bounds()
    epsilon = check_epsilon(epsilon, (low, high), cost.dtype)
    given = as_array("f", f)
    if given.shape != (n,):
        raise ValueError(
            f"f must have shape ({n},), a number for each row of C, but its shape is {given.shape}"
        )
    check_finite("f", given)
    # A constant in f adds itself to the value for each unit of mass; without it more digits are left for the
    # rest. What is below the range of doubles has no mass.
    top = float(given.max())
    with np.errstate(over="ignore"):
        shifted = given.astype(np.float64) - top
    wide = needs_double(cost.dtype, high - low - float(shifted.min()), epsilon)
    used = weights > 0.0
    g = _softmin(cost, weights, epsilon, shifted, wide=wide)
    if np.isinf(g[used]).any():
        raise InfeasibleError(
            "a column of positive mass in b has only forbidden pairs, those of cost +inf in C"
        )
    g[~used] = 0.0
    coupling = GridCoupling if isinstance(cost, Grid) else EntropicCoupling
    plan = coupling(cost, np.ones(n), weights, shifted, g, epsilon, wide)
    b_used = weights[used]
    value = float(b_used @ (top - g[used] - epsilon * np.log(b_used)))
    return to_scalar(value, cost.dtype), plan.apply(np.ones(m))


def _softmin(cost: Cost, b: _Array, epsilon: float, f: _Array, *, wide: bool) -> _Array:
    """Return −ε log Σ_i exp((f_i − C_ij)/ε) for every column."""
    if isinstance(cost, Grid):
        # The cost is symmetric: these are the potentials of rows of weights b against columns of weight one.
        return full_pass(cost, b, np.ones(f.size), epsilon, f)["potential_a"]
    return _core.softmin(cost.core, f, epsilon, wide, True, None)
