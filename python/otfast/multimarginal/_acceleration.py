"""Anderson acceleration of a fixed-point iteration on all potentials at once.

An iteration f → T(f) that converges slowly leaves residuals T(f) − f that are nearly dependent. The affine
combination of the last few of them that is smallest tells which combination of the images to go on from
(Walker and Ni 2011, section 2).
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from otfast.multimarginal._potentials import Potentials

_Array = NDArray[np.float64]

#: Residuals that are combined.
_MEMORY = 8

#: The ridge of the least squares, relative to the largest of the residuals.
_RIDGE = 1e-10


class Anderson:
    """Proposes where to go on from; falls back to the iteration itself where the dual would fall."""

    def __init__(self, potentials: Potentials) -> None:
        self._potentials = potentials
        # A point of little weight has little to say on how far the plan is from its marginals.
        self._scale = np.sqrt(np.concatenate([a / a.sum() for a in potentials.weights]))
        self._ends = np.cumsum([a.size for a in potentials.weights])[:-1]
        self._images: deque[_Array] = deque(maxlen=_MEMORY)
        self._residuals: deque[_Array] = deque(maxlen=_MEMORY)
        self._point = self._stacked()
        self._best: tuple[float, _Array] | None = None

    def propose(self, value: float) -> None:
        """Replace the potentials, which are the image of the last proposal, by the next proposal.

        `value` is the dual value of the image.
        """
        image = self._stacked()
        if self._best is not None and not value >= self._best[0] - 1e-12 * abs(self._best[0]):
            image = self._best[1]
            self._images.clear()
            self._residuals.clear()
            self._best = None
        else:
            self._images.append(image)
            self._residuals.append(self._scale * (image - self._point))
            self._best = value, image
        self._point = self._combination() if len(self._images) > 1 else image
        self._potentials.f = [f.copy() for f in np.split(self._point, self._ends)]

    def _combination(self) -> _Array:
        """Return the combination of the images whose residuals nearly cancel."""
        residuals = np.stack(self._residuals)
        largest = float(np.abs(residuals).max())
        if not largest > 0.0:
            return self._images[-1]
        residuals /= largest
        products = residuals @ residuals.T
        products += _RIDGE * np.trace(products) * np.eye(len(products))
        shares = np.linalg.solve(products, np.ones(len(products)))
        combined: _Array = (shares / shares.sum()) @ np.stack(self._images)
        return combined if np.isfinite(combined).all() else self._images[-1]

    def _stacked(self) -> _Array:
        return np.concatenate(self._potentials.f)
