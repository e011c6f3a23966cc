"""Speed and answers side by side with other libraries, on the same problems, in one process.

Each room is a module with a function ``compare(quick)`` that prints a table and returns whether every answer
in it is right.
"""

from __future__ import annotations

from collections.abc import Callable

from otfast.comparison import barycenters, entropic, exact, gaussian, multimarginal
from otfast.comparison.table import one_thread, pot_is_installed

__all__ = ["ROOMS", "run"]

ROOMS: tuple[Callable[[bool], bool], ...] = (
    exact.compare,
    entropic.compare,
    gaussian.compare,
    barycenters.compare,
    multimarginal.compare,
)


def run(quick: bool = False) -> bool:
    """Compare on a few problems of each kind, on one thread, and print the tables.

    Parameters
    ----------
    quick : bool, default False
        Whether to take small problems only.

    Returns
    -------
    bool
        Whether every answer is right, and equal to those of the others where they are.
    """
    print("CPU seconds on one thread; ratio: the best of the others over otfast")
    with one_thread():
        right = [compare(quick) for compare in ROOMS]
    if not pot_is_installed():
        print("\nPOT is not installed: python -m pip install 'otfast[bench]'")
    return all(right)
