"""Multi-marginal transport: one plan between K measures, without the tensor where that is possible."""

from otfast.multimarginal._gaussian import GaussianMultiTransport, gaussian
from otfast.multimarginal._literature import coulomb, euler_flow, matching_for_teams
from otfast.multimarginal._result import MultiTransport
from otfast.multimarginal._sinkhorn import sinkhorn
from otfast.multimarginal._solve import solve
from otfast.multimarginal.cost import BarycenterCost, LowRankTensor, MultiCost, SpreadCost, TensorCost
from otfast.multimarginal.pairwise import PairwiseCost

__all__ = [
    "BarycenterCost",
    "GaussianMultiTransport",
    "LowRankTensor",
    "MultiCost",
    "MultiTransport",
    "PairwiseCost",
    "SpreadCost",
    "TensorCost",
    "coulomb",
    "euler_flow",
    "gaussian",
    "matching_for_teams",
    "sinkhorn",
    "solve",
]
