"""What is true of every exact answer, and oracles to compare values with."""

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

EPS = np.finfo(np.float64).eps


def assert_certified(result, a, b, C, tol=1e-12):
    """Assert that a plan is feasible and that the potentials prove it optimal.

    `a` or `b` of None are uniform. Tolerances are relative: marginals to the total mass, dual constraints to
    the numbers in each (and the rounding of the largest potentials, which all others hang on), the gap to the
    value (or to the rounding of the terms that cancel in it).
    """
    C = np.asarray(C, np.float64)
    n, m = C.shape
    a = np.full(n, 1.0 / n) if a is None else np.asarray(a, np.float64)
    b = np.full(m, 1.0 / m) if b is None else np.asarray(b, np.float64)
    total = a.sum()
    b = b * (total / b.sum())
    f, g = result.potential_a.astype(np.float64), result.potential_b.astype(np.float64)
    plan = result.sparse_plan
    rows, cols = plan.coords
    mass = plan.data.astype(np.float64)
    costs = C[rows, cols]

    assert result.converged
    assert result.error <= max(tol, 1e-10)
    assert plan.shape == (n, m)
    assert mass.size <= n + m - 1
    assert (mass > 0).all()
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == mass.size
    np.testing.assert_allclose(np.bincount(rows, mass, n), a, rtol=0, atol=tol * total)
    np.testing.assert_allclose(np.bincount(cols, mass, m), b, rtol=0, atol=tol * total)
    assert not mass[a[rows] == 0].size
    assert not mass[b[cols] == 0].size
    assert np.isfinite(costs).all(), "the plan uses a forbidden pair"

    assert np.isfinite(f).all()
    assert np.isfinite(g).all()
    rounding = 4 * EPS * (np.abs(f).max() + np.abs(g).max())
    allowed = rounding + tol * (np.abs(f)[:, None] + np.abs(g) + np.where(np.isfinite(C), np.abs(C), 0.0))
    excess = f[:, None] + g - C
    assert (excess <= allowed).all(), f"a dual constraint is violated by {excess.max()}"
    assert (-excess[rows, cols] <= allowed[rows, cols]).all(), (
        f"an atom has slack {-excess[rows, cols].min()}"
    )

    value = float(mass @ costs)
    cancelling = float(mass @ np.abs(costs))
    assert abs(result.value - value) <= tol * cancelling
    assert abs(result.value_linear - value) <= tol * cancelling
    dual = float(f @ a + g @ b)
    rounding = float(np.abs(f) @ a + np.abs(g) @ b)
    grains = 2.0**-60 * total * float(np.abs(f).sum() + np.abs(g).sum())  # masses are whole numbers of these
    assert abs(value - dual) <= tol * max(abs(value), rounding) + grains


def linprog_value(a, b, C):
    """Return the value of the transport problem by HiGHS, or None where it has no solution."""
    C = np.asarray(C, np.float64)
    n, m = C.shape
    a = np.full(n, 1.0 / n) if a is None else np.asarray(a, np.float64)
    b = np.full(m, 1.0 / m) if b is None else np.asarray(b, np.float64)
    total = a.sum()
    allowed = np.isfinite(C).ravel()
    if not allowed.any():
        return None
    scale = np.abs(C.ravel()[allowed]).max() or 1.0
    constraints = sparse.vstack(
        [sparse.kron(sparse.eye_array(n), np.ones((1, m))), sparse.kron(np.ones((1, n)), sparse.eye_array(m))]
    ).tocsc()[:, allowed]
    # One constraint follows from the others; with rounded totals it would contradict them.
    marginals = np.concatenate([a / total, b / b.sum()])[:-1]
    precise = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(
        C.ravel()[allowed] / scale, A_eq=constraints[:-1], b_eq=marginals, method="highs-ds", options=precise
    )
    return float(found.fun * scale * total) if found.status == 0 else None


def random_weights(rng, size):
    """Return positive weights of total 1, some of them small."""
    return rng.dirichlet(np.full(size, 0.5))


def sqeuclidean(x, y):
    """Return the squared distances, from differences, so that equal points have distance 0."""
    return ((x[:, None] - y[None]) ** 2).sum(-1)
