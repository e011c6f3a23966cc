"""Barycenters of Gaussians: otfast and POT on the same covariances, with the error reached next to the time.

python -m pytest bench/bench_gaussian.py
"""

import pytest

from otfast.comparison.gaussian import (
    DIMENSIONS,
    TOLERANCE,
    covariances,
    otfast_barycenter,
    pot_barycenter,
    residual,
)
from otfast.comparison.table import pot_is_installed

SOLVERS = {"otfast": otfast_barycenter, "POT": pot_barycenter}


@pytest.mark.parametrize("dim", DIMENSIONS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_barycenter(benchmark, solver, dim):
    if solver == "POT" and not pot_is_installed():
        pytest.skip("POT is not installed")
    covs = covariances(dim)
    benchmark.group = f"barycenter-{dim}d"
    S = benchmark.pedantic(SOLVERS[solver], (covs,), rounds=5, warmup_rounds=1)
    benchmark.extra_info["error"] = residual(S, covs)
    assert solver != "otfast" or residual(S, covs) <= TOLERANCE
