"""Entropic barycenters of histograms beside POT: as many iterations of both, and how far they have come."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import otfast as otf
from otfast.comparison.table import Table, clock, pot_is_installed

__all__ = ["Case", "cases", "compare", "images"]

_Array = NDArray[np.floating[Any]]

#: What the barycenters of images weigh, which are four.
_WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])

#: Iterations until the answer with which both are compared.
_MANY = 400

#: How far apart the two may be after as many iterations: where the order of their steps differs, as a share
#: of how far they have to go (debiased: of the mass), and where it is the same.
_SLACK = 0.25
_SAME_STEPS = 1e-9


@dataclass(frozen=True)
class Case:
    """A barycenter, what it is made of, and how both libraries make so many iterations for it."""

    histograms: _Array
    """Images on the unit square, `(K, h, w)`, or histograms `(K, n)`."""
    weights: _Array
    """`(K,)`."""
    C: _Array | None
    """Costs, `(n, n)`; None: squared distances of the pixels."""
    epsilon: float
    otfast: Callable[[int], _Array]
    pot: Callable[[int], _Array]
    n_iter: int
    has_same_steps: bool = False
    is_debiased: bool = False
    goes_elsewhere: bool = False
    """Whether POT's iterations do not lead to the barycenter."""

    def error(self, w: _Array, converged: _Array | None) -> float | None:
        """Return the L1 distance to the answer of many iterations; debiased iterations take too many."""
        return None if converged is None else float(np.abs(w - converged).sum())

    def converged(self) -> _Array | None:
        """Return the answer of many iterations."""
        return None if self.is_debiased else self.otfast(_MANY)


def images(count: int, size: int, rng: int = 0) -> _Array:
    """Draw smooth positive images of three blobs each, `(count, size, size)`, of total 1."""
    generator = np.random.default_rng(rng)
    axis = np.linspace(0.0, 1.0, size)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    stack = np.zeros((count, size, size))
    for image in stack:
        for centre, width in zip(
            generator.uniform(0.2, 0.8, (3, 2)), generator.uniform(0.04, 0.12, 3), strict=True
        ):
            image += np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2.0 * width**2))
        image += 1e-6 * image.max()
    stack /= stack.sum(axis=(1, 2), keepdims=True)
    return stack


def cases(quick: bool) -> dict[str, Case]:
    """Return the barycenters to compare, in small sizes if `quick`."""
    found: dict[str, Case] = {}
    for size in (32, 64) if quick else (64, 256):
        for debiased in (False, True):
            name = f"images {size}²{', debiased' if debiased else ''}"
            found[name] = _of_images(size, 4e-3, 30, debiased)
    for debiased in (False, True):
        size = 32 if quick else 64
        name = f"images {size}²{', debiased' if debiased else ''}, logs"
        found[name] = _of_images(size, 1e-3, 10, debiased, method="sinkhorn_log")
    side = 20 if quick else 50
    n = side**2
    found[f"n = {n}"] = _of_histograms(side, 5e-3, 50, "barycenter")
    found[f"n = {n}, debiased"] = _of_histograms(side, 5e-3, 30, "barycenter_debiased")
    found[f"n = {n}, stabilised"] = _of_histograms(side, 1e-3, 20, "barycenter_stabilized")
    found[f"n = {n}, logs"] = _of_histograms(side, 1e-3, 5, "barycenter", method="sinkhorn_log")
    return found


def _of_images(size: int, epsilon: float, n_iter: int, debiased: bool, **options: Any) -> Case:
    stack = images(4, size)

    def solve(n_iter: int) -> _Array:
        found = otf.barycenter.convolutional(
            stack, _WEIGHTS, epsilon=epsilon, debiased=debiased, tol=0.0, max_iter=n_iter
        )
        assert not isinstance(found, list)
        return found.weights

    name = "convolutional_barycenter2d" + ("_debiased" if debiased else "")
    pot = partial(_pot, name, stack, epsilon, weights=_WEIGHTS, **options)
    return Case(stack, _WEIGHTS, None, epsilon, solve, pot, n_iter, bool(options) and not debiased, debiased)


def _of_histograms(side: int, epsilon: float, n_iter: int, name: str, **options: Any) -> Case:
    """Make a case of ten images and a cost as an array, at most 1.

    All weights are equal: with others, POT starts where the sum of λ_k log u_k is not zero, and stays there.
    """
    histograms = images(10, side).reshape(10, -1)
    axis = np.linspace(0.0, 1.0, side)
    C = otf.Grid(axis, axis).dense()
    C /= C.max()
    debiased = name == "barycenter_debiased"

    def solve(n_iter: int) -> _Array:
        found = otf.barycenter.fixed_support(
            histograms,
            C,
            method="ibp-debiased" if debiased else "ibp",
            epsilon=epsilon,
            tol=0.0,
            max_iter=n_iter,
        )
        assert not isinstance(found, list)
        return found.weights

    pot = partial(_pot, name, histograms.T.copy(), C, epsilon, **options)
    goes_elsewhere = name == "barycenter_stabilized"
    return Case(
        histograms,
        np.full(10, 0.1),
        C,
        epsilon,
        solve,
        pot,
        n_iter,
        bool(options),
        debiased,
        goes_elsewhere,
    )


def _pot(name: str, *arguments: Any, **options: Any) -> Any:
    """Run a solver of POT; the last argument is the number of iterations. Its total is scaled to 1."""
    *arguments_of_pot, n_iter = arguments
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Of backends that it does not find, and of iterations that do not suffice.
        warnings.simplefilter("ignore")
        import ot

        w = getattr(ot.bregman, name)(*arguments_of_pot, numItermax=n_iter, stopThr=0.0, **options)
    return w / w.sum()


def compare(quick: bool) -> bool:
    """Print the table of entropic barycenters, and return whether every answer of otfast is right.

    As many iterations of the same algorithm must lead as far, and in logarithms to the same numbers.
    """
    print("\nEntropic barycenters: 4 images of weights 0.4 to 0.1, and 10 histograms of equal weights")
    print("so many iterations of both; error: L1 distance to the answer of many; apart: that of the two")
    print("no ratio where another goes somewhere else\n")
    table = Table(("otfast", "POT"), ("error", "POT's error", "apart"))
    table.print_header()
    all_right = True
    for name, case in cases(quick).items():
        solvers: dict[str, Callable[[], Any]] = {"otfast": partial(case.otfast, case.n_iter)}
        if pot_is_installed():
            solvers["POT"] = partial(case.pot, case.n_iter)
        seconds, answers = clock(solvers)
        all_right &= _print_line(table, name, case, seconds, answers)
    return all_right


def _print_line(
    table: Table, name: str, case: Case, seconds: dict[str, float], answers: dict[str, _Array]
) -> bool:
    converged = case.converged()
    error = case.error(answers["otfast"], converged)
    others = apart = None
    failed: list[str] = []
    right = bool(abs(answers["otfast"].sum() - 1.0) <= 1e-9)
    if "POT" in answers:
        others = case.error(answers["POT"], converged)
        apart = float(np.abs(answers["otfast"] - answers["POT"]).sum())
        if error is None or others is None:
            right &= apart <= _SLACK
        elif case.goes_elsewhere:
            failed = ["POT"]
        else:
            right &= apart <= (_SAME_STEPS if case.has_same_steps else _SLACK * others)
    table.print_line(f"{case.n_iter} x {name}", seconds, [error, others, apart], right, failed)
    return right
