"""The plans between a barycenter and the measures, from the scalings of their kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from otfast._entropic_result import make_transport, needs_double
from otfast.barycenter._bregman import Problem, Solution
from otfast.cost import Cost
from otfast.result import Transport

if TYPE_CHECKING:
    from otfast._core import _SinkhornResult

_Array = NDArray[np.float64]

_LN2 = math.log(2.0)


class Couplings(Sequence[Transport]):
    """The plans of one of the problems, `at`, whose barycenter is `w`; one cost may serve all measures.

    They are made when the first of them is asked for: many never are.
    """

    def __init__(
        self,
        problem: Problem,
        solution: Solution,
        at: int,
        costs: Sequence[Cost],
        measures: Sequence[_Array],
        w: _Array,
    ) -> None:
        self._problem, self._solution, self._at = problem, solution, at
        self._costs, self._w = costs, w
        self._measures = [b.copy() for b in measures]  # whatever the user does with them until then

    @cached_property
    def _made(self) -> list[Transport]:
        problem, solution, at = self._problem, self._solution, self._at
        costs, w = self._costs, self._w
        now = solution.scalings
        unit = problem.epsilon * _LN2
        # In these units alpha = log w + f, beta = log b + g; without mass, the soft minimum goes on.
        with np.errstate(invalid="ignore"):
            f = np.where(now.alpha[at] > -math.inf, unit * (now.alpha[at] - now.log_w[at]), 0.0)
            g = np.where(now.beta[at] > -math.inf, now.beta[at] - problem.log_b, -solution.psi[at])
        g = unit * np.where(np.isfinite(g), g, 0.0)
        mass = float(w.sum())
        spreads = [high - low for low, high in (cost.bounds() for cost in costs)]
        wide = [
            needs_double(cost.dtype, spread, problem.epsilon)
            for cost, spread in zip(costs, spreads, strict=True)
        ]
        shared = len(costs) == 1
        parts = zip(self._measures, f, problem.kernel.split(g), solution.errors[at], strict=True)
        transports = []
        for k, (b, f_k, g_k, error) in enumerate(parts):
            cost, is_wide = (costs[0], wide[0]) if shared else (costs[k], wide[k])
            raw: _SinkhornResult = {
                "potential_a": f_k,
                "potential_b": g_k,
                "value": float(f_k @ w + g_k @ b) + problem.epsilon * mass * (mass - 1.0),
                "status": solution.status,
                "n_iter": solution.n_iter,
                "error": float(error),
            }
            transports.append(make_transport(raw, cost, w, b, problem.epsilon, (math.inf, math.inf), is_wide))
        return transports

    @overload
    def __getitem__(self, index: int) -> Transport: ...
    @overload
    def __getitem__(self, index: slice) -> list[Transport]: ...
    def __getitem__(self, index: int | slice) -> Transport | list[Transport]:
        return self._made[index]

    def __len__(self) -> int:
        return len(self._measures)

    def __repr__(self) -> str:
        return repr(self._made)

    def __reduce__(self) -> tuple[type[list[Transport]], tuple[list[Transport]]]:
        return list, (self._made,)
