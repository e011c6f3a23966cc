"""Costs of K points: what a solver knows about the tensor C, which is seldom stored.

A tensor of shape (n_0, …, n_{K−1}), with its axes split into leading and trailing ones, is a matrix. All the
costs here give that matrix as a cost of two points (`otfast.cost`), so that everything which streams over
the rows of a matrix streams over a tensor. `PairwiseCost`, in a module of its own, does better still.
"""

from otfast.multimarginal._barycenter_cost import BarycenterCost
from otfast.multimarginal._low_rank_tensor import LowRankTensor
from otfast.multimarginal._multi_cost import MultiCost
from otfast.multimarginal._spread_cost import SpreadCost
from otfast.multimarginal._tensor_cost import TensorCost

__all__ = ["BarycenterCost", "LowRankTensor", "MultiCost", "SpreadCost", "TensorCost"]
