"""Costs of the literature."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from otfast._validation import as_cloud, as_matrix, check_count
from otfast.cost import Cost
from otfast.multimarginal.pairwise import PairwiseCost

__all__ = ["coulomb", "euler_flow", "matching_for_teams"]


def coulomb(points: ArrayLike, n_marginals: int) -> PairwiseCost:
    """Make the Coulomb cost of electrons, Σ_{k<l} 1 / ‖x_k − x_l‖, infinite where two coincide.

    With all marginals equal to the density of N electrons over N, the least value is the energy of strictly
    correlated electrons [1]_. On the line the optimal plan shifts the measure by 1/N of its mass, cyclically
    [2]_.

    Parameters
    ----------
    points : array_like, shape (n, d) or (n,)
        Where electrons may be: the same points for all.
    n_marginals : int
        Their number N ≥ 2.

    Returns
    -------
    PairwiseCost
        On the complete graph.

    Raises
    ------
    ValueError
        If an argument is malformed.

    References
    ----------
    .. [1] Buttazzo, De Pascale and Gori-Giorgi, "Optimal-transport formulation of electronic
       density-functional theory", 2012.
    .. [2] Colombo, De Pascale and Di Marino, "Multimarginal optimal transport maps for one-dimensional
       repulsive costs", 2015.

    Examples
    --------
    >>> from otfast import multimarginal
    >>> cost = multimarginal.coulomb([0.0, 1.0, 2.0, 3.0], n_marginals=2)
    >>> multimarginal.solve([None, None], cost).plan
    array([[0.  , 0.  , 0.25, 0.  ],
           [0.  , 0.  , 0.  , 0.25],
           [0.25, 0.  , 0.  , 0.  ],
           [0.  , 0.25, 0.  , 0.  ]])
    """
    x = as_cloud("points", points)
    count = check_count("n_marginals", n_marginals)
    if count < 2:
        raise ValueError(f"n_marginals must be at least 2, not {count}")
    distances = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
    with np.errstate(divide="ignore"):
        repulsion = 1.0 / distances
    return PairwiseCost(count, dict.fromkeys(combinations(range(count), 2), repulsion))


def euler_flow(points: ArrayLike, final: ArrayLike, n_times: int) -> PairwiseCost:
    r"""Make the cost of a generalised incompressible flow, on a cycle of times.

    .. math:: C(x_0, \dots, x_{T-1}) = T \sum_{k=0}^{T-2} \lVert x_{k+1} - x_k \rVert^2
        + T \lVert \sigma(x_0) - x_{T-1} \rVert^2

    Brenier's relaxation of Euler's equations, in T steps of time: each particle follows a path that ends at
    σ(x_0), and all marginals are the uniform measure, since the fluid is incompressible [1]_, [2]_.

    Parameters
    ----------
    points : array_like, shape (n, d) or (n,)
        The points of the fluid at all times.
    final : array_like, shape of `points`
        Where the particle of each of them is at the end, σ(x).
    n_times : int
        The number T ≥ 3 of marginals.

    Returns
    -------
    PairwiseCost

    Raises
    ------
    ValueError
        If an argument is malformed.

    References
    ----------
    .. [1] Brenier, "The least action principle and the related concept of generalized flows for
       incompressible perfect fluids", 1989.
    .. [2] Benamou, Carlier and Nenna, "Generalized incompressible flows, multi-marginal transport and
       Sinkhorn algorithm", 2019: section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from otfast import multimarginal
    >>> t = np.linspace(0, 1, 8)
    >>> flow = multimarginal.sinkhorn([None] * 4, multimarginal.euler_flow(t, 1 - t, 4), epsilon=0.1)
    >>> flow.pair_marginal(0, 2)[0].round(3)  # from one end, on the way to the other
    array([0.003, 0.012, 0.022, 0.026, 0.026, 0.022, 0.012, 0.003])
    """
    x, end = as_cloud("points", points), as_cloud("final", final)
    if x.shape != end.shape:
        raise ValueError(f"final must have the shape of points, {x.shape}, but its shape is {end.shape}")
    count = check_count("n_times", n_times)
    if count < 3:
        raise ValueError(f"n_times must be at least 3, not {count}")
    between = count * ((x[:, None] - x) ** 2).sum(-1)
    edges = {(k, k + 1): between for k in range(count - 1)}
    edges[0, count - 1] = count * ((end[:, None] - x) ** 2).sum(-1)
    return PairwiseCost(count, edges)


def matching_for_teams(costs: Sequence[ArrayLike | Cost]) -> PairwiseCost:
    """Make the cost of matching for teams, Σ_k c_k(x_k, z): a star around the node of contracts z, the last.

    With the marginal of z free, `sinkhorn` finds which contracts are signed, and the pair marginals say by
    whom [1]_. Barycenters are the case of squared distances.

    Parameters
    ----------
    costs : sequence of array_like or Cost, shapes (n_k, m)
        What the contract z costs a member x_k, for each of the K populations.

    Returns
    -------
    PairwiseCost
        On K + 1 nodes.

    Raises
    ------
    ValueError
        If there is no cost, or they are malformed or do not fit each other.

    References
    ----------
    .. [1] Carlier and Ekeland, "Matching for teams", 2010.

    Examples
    --------
    >>> from otfast import multimarginal
    >>> cost = multimarginal.matching_for_teams([[[0.0, 1.0]], [[1.0, 0.0], [2.0, 1.0]]])
    >>> cost
    <PairwiseCost 1 x 2 x 2, 2 edges, float64>
    """
    given = [C if isinstance(C, Cost) else as_matrix(f"costs[{k}]", C) for k, C in enumerate(costs)]
    if not given:
        raise ValueError("costs must hold at least one cost")
    return PairwiseCost(len(given) + 1, {(k, len(given)): C for k, C in enumerate(given)})
