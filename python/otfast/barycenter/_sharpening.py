"""A bound on the entropy of a histogram."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

_Array = NDArray[np.float64]

_LN2 = math.log(2.0)

#: The largest power that is tried: what is left then is the uniform measure on the highest points.
_LARGEST_POWER = 2.0**20


def sharpen(log_w: _Array, mass: float, bound: float) -> _Array:
    """Raise a histogram to the least power ≥ 1, normalised, whose entropy −Σ w log w keeps to a bound.

    `log_w` `(n,)` are logarithms to base 2 of a histogram of this mass. The power is the multiplier of the
    constraint (Solomon et al. 2015, algorithm 3).
    """

    def excess(power: float) -> float:
        return float(_entropy(_normalised(power * log_w, mass))) - bound

    if excess(1.0) <= 0.0:
        return log_w
    high = 2.0
    while excess(high) > 0.0 and high < _LARGEST_POWER:
        high *= 2.0
    power = high
    if high < _LARGEST_POWER:
        power = optimize.brentq(excess, high / 2.0, high, xtol=1e-12, rtol=1e-12)
    return _normalised(power * log_w, mass)


def _normalised(log_w: _Array, mass: float) -> _Array:
    relative = log_w - log_w.max()
    return relative + (math.log2(mass) - math.log2(np.exp2(relative).sum()))  # type: ignore[no-any-return]


def _entropy(log_w: _Array) -> float:
    w = np.exp2(log_w)
    has_mass = w > 0.0
    return -_LN2 * float(w[has_mass] @ log_w[has_mass])
