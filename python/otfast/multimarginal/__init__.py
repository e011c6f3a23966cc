"""Multi-marginal transport: one plan between K measures, without the tensor where that is possible.

Whatever the cost, all that an entropic iteration asks for is, for one node k after another, the soft minimum
of C − ⊕_{j ≠ k} f_j over all points but those of k. `_potentials` turns it into an update and an error. A
*contraction* delivers it:

- `_unfolded`, for tensors and for costs that can be read as a matrix without being stored: leading points are
  rows and trailing ones columns, and the effective cost of either part is a smaller tensor, treated alike;
  one pass of the core takes the place of that where the tensor is in memory;
- `_tree`, for trees of any edges: messages, kept up to date along a walk;
- `_junction_tree` with `_elimination`, for connected graphs with cycles: messages between cliques;
- `_graph`, for `PairwiseCost`: its connected parts, each of which sees the mass of the others as a factor.

Costs are in `cost`, a file for each, and `pairwise`; `_multi_cost` has what they share.

`_sinkhorn` iterates, with `_acceleration`. A tree with exact marginals falls apart into its edges
(`_factorised`). Exact plans (`_solve`): `_gluing` on forests, `_comonotone` on the line, `_column_generation`
with `_pricing`, and `_graph_pricing` on graphs, for all else.
"""

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
