"""Entropic barycenters of images and of histograms: otfast and POT make as many iterations.

python -m pytest bench/bench_barycenters.py
"""

import numpy as np
import pytest

from otfast.comparison.barycenters import cases
from otfast.comparison.table import pot_is_installed

CASES = cases(quick=False)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("solver", ["otfast", "pot"])
def test_barycenter(benchmark, solver, name):
    if solver == "pot" and not pot_is_installed():
        pytest.skip("POT is not installed: it comes with otfast[bench]")
    case = CASES[name]
    benchmark.group = name
    w = benchmark.pedantic(getattr(case, solver), (case.n_iter,), rounds=3, warmup_rounds=1)
    benchmark.extra_info["error"] = case.error(w, case.converged())
    assert solver == "pot" or np.isclose(w.sum(), 1.0)
