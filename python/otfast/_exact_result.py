"""From what the exact core returns to results, errors and warnings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from otfast._metric import Metric
from otfast._validation import FloatArray
from otfast.errors import ConvergenceWarning, InfeasibleError
from otfast.result import SparseCoupling, Transport, to_scalar

if TYPE_CHECKING:
    from otfast._core import _EmdResult

_FLOAT64 = np.dtype(np.float64)
_EPS = float(np.finfo(np.float64).eps)

#: A relative duality gap of this size is what double precision leaves of zero.
DEFAULT_TOL = 1e-12

#: What rounding may leave of a gap that the solver believes closed. More is left only where costs and weights
#: range over so many orders of magnitude that potentials in double precision cannot prove the plan optimal.
_ACCURATE = 1e-9


def check_status(status: str, tol: float = DEFAULT_TOL) -> None:
    """Raise where there is no plan, and warn where the work ended early, unless `tol` = 0 asked for that."""
    if status == "infeasible":
        raise InfeasibleError("no plan between a and b avoids the forbidden pairs, those of cost +inf in C")
    if status != "optimal" and not _as_asked(status, tol):
        _warn_unconverged("the solver", status)


def _as_asked(status: str, tol: float) -> bool:
    return tol == 0.0 and status == "iteration_limit"


def check_batch_status(statuses: Sequence[str], tol: float) -> None:
    """Do the same for many problems, with one warning."""
    if "infeasible" in statuses:
        k = statuses.index("infeasible")
        raise InfeasibleError(
            f"no plan between A[{k}] and B[{k}] avoids the forbidden pairs, those of cost +inf in C"
        )
    unconverged = [status for status in statuses if status != "optimal" and not _as_asked(status, tol)]
    if unconverged:
        _warn_unconverged(f"{len(unconverged)} of {len(statuses)} problems", unconverged[0])


def _warn_unconverged(subject: str, status: str) -> None:
    cause = "at max_iter" if status == "iteration_limit" else "by the callback"
    message = f"{subject} stopped {cause} before the optimum; the `error` of the result is the duality gap"
    warnings.warn(message, ConvergenceWarning, stacklevel=4)


def is_accurate(error: Any, tol: float) -> Any:
    """Whether a gap (or each of an array) is closed as far as was asked for and rounding allows."""
    return error <= max(tol, _ACCURATE)


def warn_inaccurate(subject: str, error: float) -> None:
    """Warn that the solver ended, but rounding left a gap."""
    message = (
        f"{subject} ended with a duality gap of {error:.1e}: costs and weights range over too many orders of "
        "magnitude for double precision; drop negligible weights, or scale or clip the costs"
    )
    warnings.warn(message, ConvergenceWarning, stacklevel=3)


def relative_gap(raw: _EmdResult, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return how far the values of plan and potentials are apart, relative to them."""
    gap = abs(raw["value"] - raw["dual_value"])
    scale = max(abs(raw["value"]), abs(raw["dual_value"]))
    if gap <= DEFAULT_TOL * scale:
        return gap / scale if scale > 0.0 else 0.0
    # A value near zero is what remains after large terms cancel: a gap within their rounding is none.
    rounding = 4.0 * _EPS * float(np.abs(raw["potential_a"]) @ a + np.abs(raw["potential_b"]) @ b)
    return 0.0 if gap <= rounding else gap / scale


def make_transport(
    raw: _EmdResult,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    dtype: np.dtype[np.floating[Any]],
    tol: float = DEFAULT_TOL,
    metric: Metric | None = None,
) -> Transport:
    """Make a result from what the core returned for the weights `a` and `b`, in the precision of the cost.

    `metric` is that of the cost, if it has one.
    """
    value = to_scalar(raw["value"], dtype)
    error = relative_gap(raw, a, b)
    mass: FloatArray = raw["mass"]
    potential_a: FloatArray = raw["potential_a"]
    potential_b: FloatArray = raw["potential_b"]
    if dtype != _FLOAT64:
        mass, potential_a, potential_b = (array.astype(dtype) for array in (mass, potential_a, potential_b))
    return Transport(
        value=value,
        potential_a=potential_a,
        potential_b=potential_b,
        converged=raw["status"] == "optimal" and is_accurate(error, tol),
        n_iter=raw["n_iter"],
        error=error,
        a=a,
        b=b,
        coupling=SparseCoupling(raw["rows"], raw["cols"], mass, (a.size, b.size), raw["value"], metric),
    )
