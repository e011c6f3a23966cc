"""Checks of the arguments that the functions of multi-marginal transport have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._entropic_validation import check_rho
from otfast._validation import as_array, balance_weights, check_weights
from otfast.multimarginal._multi_cost import MultiCost, as_list
from otfast.multimarginal._tensor_cost import as_multi_cost
from otfast.multimarginal.pairwise import PairwiseCost

_FLOAT32 = np.dtype(np.float32)
_Array = NDArray[np.float64]


def check_problem(
    marginals: Sequence[ArrayLike | None], cost: ArrayLike | MultiCost
) -> tuple[list[_Array], list[float], bool, MultiCost]:
    """Check the weights of all marginals and the cost against each other.

    Returns
    -------
    weights, totals, is_single, cost
        The weights as `float64`, their sums, and whether the cost or any of them has single precision.
    """
    checked = as_multi_cost(cost)
    given = as_list("marginals", marginals)
    if len(given) != checked.ndim:
        raise ValueError(
            f"marginals must be {checked.ndim}, one for each axis or node of the cost, "
            f"but there are {len(given)}"
        )
    if isinstance(checked, PairwiseCost):
        checked = checked.with_sizes(
            [None if a is None else as_array(f"marginals[{k}]", a).size for k, a in enumerate(given)]
        )
    weights, totals = [], []
    is_single = checked.dtype == _FLOAT32
    for k, (a, size) in enumerate(zip(given, checked.shape, strict=True)):
        of_node, total, single = check_weights(f"marginals[{k}]", a, size)
        weights.append(of_node)
        totals.append(total)
        is_single = is_single or single
    return weights, totals, is_single, checked


def balance(
    weights: Sequence[_Array], totals: Sequence[float], is_single: bool, nodes: Sequence[int]
) -> list[_Array]:
    """Rescale the marginals of the nodes to the total of the first of them, which must agree to rounding."""
    balanced = list(weights)
    for k in nodes[1:]:
        names = f"marginals[{nodes[0]}]", f"marginals[{k}]"
        balanced[k] = balance_weights(weights[k], totals[nodes[0]], totals[k], is_single, names)
    return balanced


def check_prices(unbalanced: Any, free: Iterable[int], n_nodes: int) -> list[float]:
    """Return the price of a deviation from each marginal: infinite where it is exact, 0 where it is free."""
    if unbalanced is None:
        rho = [math.inf] * n_nodes
    else:
        is_one = np.isscalar(unbalanced) or getattr(unbalanced, "ndim", None) == 0
        given = [unbalanced] * n_nodes if is_one else as_list("unbalanced", unbalanced)
        if len(given) != n_nodes:
            raise ValueError(
                f"unbalanced must be a number or {n_nodes} numbers, one for each marginal, not {unbalanced!r}"
            )
        rho = [check_rho(price) for price in given]
    for k in as_list("free", free):
        if not isinstance(k, int | np.integer) or not 0 <= k < n_nodes:
            raise ValueError(f"free must hold nodes, integers from 0 to {n_nodes - 1}, not {k!r}")
        rho[int(k)] = 0.0
    if not any(rho):
        raise ValueError("free must leave at least one marginal")
    return rho
