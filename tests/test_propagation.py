"""Histograms on graphs: what is known of them exactly."""

import numpy as np
import pytest
from scipy import sparse

import otfast as otf

X = np.linspace(-3.0, 3.0, 121)
GRID = otf.Grid(X)


def gaussian(mean, deviation=0.4):
    density = np.exp(-((X - mean) ** 2) / (2 * deviation**2))
    return density / density.sum()


def moments(w):
    return w @ X, w @ (X - w @ X) ** 2


def test_a_star_is_a_barycenter():
    """One free vertex: Σ ω_k OT(p, b_k), the barycenter with λ = ω / Σ ω."""
    omega = np.array([0.5, 2.0, 1.5])
    B = np.stack([gaussian(-1.0), gaussian(0.3, 0.3), gaussian(1.2, 0.6)])
    edges = [(3, 0, omega[0]), (1, 3, omega[1]), (3, 2, omega[2])]
    result = otf.barycenter.propagate(edges, dict(enumerate(B)), GRID, epsilon=0.1, tol=1e-9)
    single = otf.barycenter.fixed_support(B, GRID, omega, epsilon=0.1, tol=1e-9)
    np.testing.assert_allclose(result.histograms[3], single.weights, atol=1e-8)
    assert result.value == pytest.approx(omega.sum() * single.value, rel=1e-7)
    np.testing.assert_allclose(result.histograms[:3], B, rtol=1e-14)


def test_a_path_is_an_interpolation_at_resistance_times():
    """Interior vertices of a path have the means of the geodesic at t = Σ 1/ω up to there, over the total."""
    omega = np.array([1.0, 4.0, 2.0])
    edges = [(0, 1, omega[0]), (1, 2, omega[1]), (2, 3, omega[2])]
    fixed = {0: gaussian(-1.0), 3: gaussian(1.5)}
    result = otf.barycenter.propagate(edges, fixed, GRID, epsilon=0.05, tol=1e-9)
    times = np.cumsum(1 / omega) / (1 / omega).sum()
    for vertex in (1, 2):
        mean, variance = moments(result.histograms[vertex])
        assert mean == pytest.approx(-1.0 + 2.5 * times[vertex - 1], abs=1e-4)
        assert 0.4**2 < variance < 0.4**2 + 3 * 0.05  # every edge blurs
    assert result.histograms.sum(1) == pytest.approx(np.ones(4), abs=1e-12)


def test_means_solve_the_laplace_equation_on_any_graph():
    """On the line with squared distances Σ_j ω_ij (m_i − m_j) = 0 for the means of free vertices."""
    rng = np.random.default_rng(0)
    edges = [(0, 1), (1, 2), (2, 3), (3, 0), (1, 4), (4, 5), (2, 5), (5, 6)]
    omega = rng.uniform(0.5, 2.0, len(edges))
    fixed = {0: gaussian(-1.0), 6: gaussian(1.0, 0.3), 3: gaussian(0.2)}
    weighted = [(*edge, weight) for edge, weight in zip(edges, omega, strict=True)]
    result = otf.barycenter.propagate(weighted, fixed, GRID, epsilon=0.1, tol=1e-9)
    adjacency = np.zeros((7, 7))
    for (i, j), weight in zip(edges, omega, strict=True):
        adjacency[i, j] = adjacency[j, i] = weight
    means = result.histograms @ X
    for vertex in (1, 2, 4, 5):
        assert adjacency[vertex] @ (means[vertex] - means) == pytest.approx(0.0, abs=1e-5)
    for form in (sparse.csr_array(adjacency), sparse.triu(sparse.csr_array(adjacency))):
        again = otf.barycenter.propagate(form, fixed, GRID, epsilon=0.1, tol=1e-9)
        np.testing.assert_allclose(again.histograms, result.histograms, atol=1e-7)


def test_mass_precision_counts_and_small_temperatures():
    fixed = {0: 5.0 * gaussian(-1.0), 2: 5.0 * gaussian(1.0)}
    result = otf.barycenter.propagate([(0, 1), (1, 2)], fixed, GRID, epsilon=0.05, tol=0, max_iter=3)
    assert result.n_iter == 3
    assert result.histograms[1].sum() == pytest.approx(5.0, rel=1e-12)
    spikes = {0: np.eye(121)[20], 2: np.eye(121)[60]}
    cold = otf.barycenter.propagate([(0, 1), (1, 2)], spikes, GRID, epsilon=1e-4)
    np.testing.assert_allclose(cold.histograms[1], np.eye(121)[40], atol=1e-8)
    single = {vertex: histogram.astype(np.float32) for vertex, histogram in fixed.items()}
    rough = otf.barycenter.propagate([(0, 1), (1, 2)], single, GRID.dense().astype(np.float32), epsilon=0.05)
    assert rough.histograms.dtype == np.float32
    seen = []
    with pytest.warns(otf.ConvergenceWarning, match="callback"):
        otf.barycenter.propagate(
            [(0, 1), (1, 2)], fixed, GRID, epsilon=0.05, callback=lambda p: seen.append(p) or len(seen) == 2
        )
    assert [report.iteration for report in seen] == [1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edges": []}, "edges"),
        ({"edges": [(0,)]}, "edges"),
        ({"edges": [(0, 0.5)]}, "edges"),
        ({"edges": [(1, 1)]}, "from 1 to 1"),
        ({"edges": [(0, -1)]}, "edges"),
        ({"edges": [(0, 1, 0.0)]}, "weights"),
        ({"edges": [(0, 1, np.nan)]}, "weights"),
        ({"edges": sparse.csr_array(np.array([[0.0, 1.0], [2.0, 0.0]]))}, "symmetric"),
        ({"edges": sparse.csr_array(np.ones((2, 3)))}, "square"),
        ({"edges": [(0, 1), (2, 3)]}, "vertex 2"),
        ({"fixed": {}}, "fixed"),
        ({"fixed": {"a": [0.5, 0.5]}}, "fixed"),
        ({"fixed": {0: [1.0]}}, r"fixed\[0\]"),
        ({"fixed": {0: [0.5, 0.5], 1: [0.5, 0.6]}}, "same mass"),
        ({"C": np.zeros((2, 3))}, "propagate"),
        ({"C": [[0.0, 1.0], [2.0, 0.0]]}, "symmetric"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"edges": [(0, 1)], "fixed": {0: [0.5, 0.5]}, "C": [[0.0, 1.0], [1.0, 0.0]], "epsilon": 0.1}
    with pytest.raises(ValueError, match=message):
        otf.barycenter.propagate(**(given | change))


def test_forbidden_pairs_are_infeasible_where_they_leave_no_way():
    C = [[0.0, np.inf], [np.inf, 0.0]]
    with pytest.raises(otf.InfeasibleError):
        otf.barycenter.propagate([(0, 1)], {0: [1.0, 0.0], 1: [0.0, 1.0]}, C, epsilon=0.1)
