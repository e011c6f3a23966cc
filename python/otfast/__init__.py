"""otfast: fast and certified optimal transport."""

from importlib.metadata import version as _version

from otfast import barycenter, cost, entropic, exact, gaussian, multimarginal
from otfast._core import get_num_threads, set_num_threads
from otfast.cost import DenseCost, Grid, LowRankCost, PointCloud
from otfast.entropic import (
    Divergence,
    SemiDiscrete,
    Unrolled,
    semidual,
    sinkhorn,
    sinkhorn_batch,
    sinkhorn_divergence,
    sinkhorn_stochastic,
    sinkhorn_unrolled,
)
from otfast.errors import ConvergenceWarning, InfeasibleError
from otfast.exact import assignment, emd, emd_1d, emd_batch, wasserstein, wasserstein_1d
from otfast.progress import Progress
from otfast.result import Transport

__version__ = _version("otfast")

__all__ = [
    "ConvergenceWarning",
    "DenseCost",
    "Divergence",
    "Grid",
    "InfeasibleError",
    "LowRankCost",
    "PointCloud",
    "Progress",
    "SemiDiscrete",
    "Transport",
    "Unrolled",
    "__version__",
    "assignment",
    "barycenter",
    "cost",
    "emd",
    "emd_1d",
    "emd_batch",
    "entropic",
    "exact",
    "gaussian",
    "get_num_threads",
    "multimarginal",
    "semidual",
    "set_num_threads",
    "sinkhorn",
    "sinkhorn_batch",
    "sinkhorn_divergence",
    "sinkhorn_stochastic",
    "sinkhorn_unrolled",
    "wasserstein",
    "wasserstein_1d",
]
