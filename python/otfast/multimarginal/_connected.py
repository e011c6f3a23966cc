"""What the contractions of connected graphs have in common: `_tree.py` and `_junction_tree.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from otfast.cost import Cost
from otfast.multimarginal._potentials import Potentials
from otfast.progress import Monitor

_Array = NDArray[np.float64]


class Connected(ABC):
    """The contraction of a connected graph, or of a node alone."""

    def __init__(
        self,
        nodes: Sequence[int],
        edges: Mapping[tuple[int, int], Cost],
        potentials: Potentials,
        monitor: Monitor | None,
    ) -> None:
        self.nodes = tuple(nodes)
        self._edges = edges
        self._potentials = potentials
        self._monitor = monitor

    @abstractmethod
    def refresh(self) -> None:
        """Forget what was computed from other potentials."""

    @abstractmethod
    def tour(self, update: bool) -> tuple[float, float]:
        """Measure every marginal, and update its potential if `update`; see `Unfolded.tour`."""

    @abstractmethod
    def marginal(self, nodes: tuple[int, ...]) -> _Array:
        """Return the sums of the plan over all points but those of the nodes, one or two in rising order."""

    @property
    @abstractmethod
    def linear_value(self) -> float:
        """⟨P, C⟩."""
