"""What fits into memory: checked before anything large is made."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

#: The share of the memory of the machine that one array may take.
_SHARE = 0.5


#: Operations of an iteration that take about an hour.
_MOST_WORK = 1e13

_ALTERNATIVE = (
    "use a structured cost whose tensor is never formed: PairwiseCost on a tree, a cycle or another graph of "
    "small treewidth, BarycenterCost.latent on a given support, or coarser marginals"
)


def check_memory(what: str, shape: Sequence[int], itemsize: int) -> None:
    """Raise `ValueError` with the size of an array, and what to do instead, if it is too large to make."""
    size = math.prod(shape) * itemsize
    if size > _SHARE * _physical_memory():
        listed = " x ".join(str(n) for n in shape)
        raise ValueError(
            f"{what}, {listed}, would take {_in_words(size)}, more than half of the memory of this machine; "
            f"{_ALTERNATIVE}"
        )


def check_work(what: str, size: int, operations: int) -> None:
    """Raise `ValueError` with bytes and operations, and what to do instead, if they are beyond a machine."""
    if size > _SHARE * _physical_memory() or operations > _MOST_WORK:
        raise ValueError(
            f"{what} would take {_in_words(size)} of memory and {operations:.0e} operations in every "
            f"iteration, which is beyond this machine; {_ALTERNATIVE}"
        )


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 34  # unknown here: that of a small machine


def _in_words(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} PB"
