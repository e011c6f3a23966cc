"""Plans between measures whose forbidden pairs leave hardly any plan, or by rounding none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from otfast.cost import Cost, DenseCost
from otfast.errors import InfeasibleError
from otfast.exact import emd
from otfast.result import SparseCoupling, Transport

__all__ = ["find_plan"]

_Array = NDArray[np.float64]

#: The share of the mass that a plan may lack.
_NEGLIGIBLE = 1e-13


def find_plan(a: _Array, b: _Array, cost: Cost) -> Transport | None:
    """Return an optimal plan, or None if every plan uses a forbidden pair.

    Where weights are bound to sums of others, rounding makes plans impossible: then the one with the least
    mass on forbidden pairs is found, and if that is at most 1e-13 of all, it is left out.
    """
    try:
        return emd(a, b, cost)
    except InfeasibleError:
        pass
    low, high = cost.bounds()
    entries = cost.dense().astype(np.float64)
    forbidden = np.isinf(entries)
    # Dearer than any detour, along which at most all points change their partners.
    entries[forbidden] = high + (high - low + 1e-300) * sum(entries.shape)
    plan = emd(a, b, DenseCost(entries))
    atoms = plan.sparse_plan
    rows, cols = atoms.coords
    allowed = ~forbidden[rows, cols]
    if math.fsum(atoms.data[~allowed]) > _NEGLIGIBLE * float(a.sum()):
        return None
    rows, cols, mass = rows[allowed], cols[allowed], atoms.data[allowed]
    value = math.fsum(mass * entries[rows, cols])
    return replace(
        plan, value=value, coupling=SparseCoupling(rows, cols, mass, cost.shape, value, cost.metric)
    )
