"""Entropic barycenters of images and of histograms: every library makes as many iterations.

python -m pytest bench/bench_barycenters.py

`error` is the L1 distance to the answer of many iterations, `apart` that to the answer of otfast: others
begin elsewhere, or take their steps in another order.
"""

import numpy as np
import pytest

from otfast.comparison.barycenters import cases
from peers import run

#: The others warn of their own dependencies.
pytestmark = pytest.mark.filterwarnings("ignore")

CASES = cases(quick=False)


@pytest.mark.parametrize("name", CASES)
def test_barycenter(benchmark, peer, name):
    case = CASES[name]
    w = run(benchmark, f"{case.n_iter} x {name}", peer, "barycenter", case)
    benchmark.extra_info["error"] = case.error(w, case.converged())
    benchmark.extra_info["apart"] = float(np.abs(w - case.otfast(case.n_iter)).sum())
    assert peer.package != "otfast" or np.isclose(w.sum(), 1.0)
