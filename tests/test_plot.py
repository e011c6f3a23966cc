"""Pictures: what is drawn has the positions, sizes and masses of the plan."""

import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import otfast as otf
from gaussians import covariances
from otfast import plot

matplotlib.use("Agg")


@pytest.fixture
def ax():
    return Figure().add_subplot()


def test_a_heat_map_shows_the_plan_between_its_marginals(ax, rng):
    a, b = rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(9))
    result = otf.emd(a, b, rng.random((7, 9)))
    assert plot.plan(result, ax) is ax
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(np.ma.filled(shown, 0.0), result.plan)
    assert np.array_equal(np.ma.getmaskarray(shown), result.plan == 0.0)
    above, beside = ax.child_axes
    assert above.collections[0].get_datalim(above.transData).y1 == pytest.approx(b.max())
    assert beside.collections[0].get_datalim(beside.transData).x1 == pytest.approx(a.max())


def test_a_pair_marginal_is_shown_as_it_is(ax, rng):
    cost = rng.random((5, 6, 7))
    result = otf.multimarginal.sinkhorn([None] * 3, cost, 1.0)
    assert plot.pair_marginal(result, 2, 0, ax) is ax
    np.testing.assert_allclose(ax.images[0].get_array(), result.pair_marginal(2, 0))


def test_a_heat_map_leaves_blank_what_an_entropic_plan_hardly_uses(ax, rng):
    x = np.sort(rng.random(40))
    result = otf.sinkhorn(None, None, otf.PointCloud(x[:, None]), 1e-2)
    plan = result.plan
    assert (plan > 0.0).all()
    plot.plan(result, ax)
    shown = ax.images[0].get_array()
    assert np.array_equal(np.ma.getmaskarray(shown), plan <= plan.max() / 256)
    assert 0.9 < shown.sum() < 1.0


def test_a_large_heat_map_keeps_all_mass(ax, rng):
    result = otf.emd_1d(rng.random(3000), rng.random(700))
    plot.plan(result, ax)
    shown = ax.images[0].get_array()
    assert shown.shape == (512, 512)
    assert shown.sum() == pytest.approx(1.0)
    ax.figure.draw_without_rendering()


def test_a_map_joins_the_points_that_exchange_mass(ax, rng):
    x, y = rng.random((6, 2)), rng.random((8, 2))
    result = otf.emd(rng.dirichlet(np.ones(6)), None, otf.PointCloud(x, y))
    assert plot.map(result, x, y, ax, size=40.0) is ax
    segments, first, second = ax.collections
    plan = result.plan
    drawn = {tuple(np.round(segment.ravel(), 12)) for segment in segments.get_segments()}
    assert drawn == {tuple(np.round(np.r_[x[i], y[j]], 12)) for i, j in np.argwhere(plan > 0.0)}
    np.testing.assert_array_equal(first.get_offsets(), x)
    np.testing.assert_array_equal(second.get_offsets(), y)
    np.testing.assert_allclose(first.get_sizes(), 40.0 * result.a / result.a.max())
    opacity = segments.get_colors()[:, 3]
    assert opacity.max() == pytest.approx(0.8)
    assert (np.diff(opacity) <= 0.0).all()


def test_a_map_draws_only_the_heaviest_segments(ax, rng):
    x, y = rng.random((2, 50, 2))
    result = otf.emd(rng.dirichlet(np.ones(50)), None, otf.PointCloud(x, y))
    plot.map(result, x, y, ax, most_segments=5)
    assert len(ax.collections[0].get_segments()) == 5


def test_points_must_be_in_the_plane_and_fit(ax, rng):
    x, y = rng.random((2, 5, 2))
    result = otf.emd(None, None, otf.PointCloud(x, y))
    with pytest.raises(ValueError, match=r"y must have shape \(5, 2\)"):
        plot.map(result, x, rng.random((5, 3)), ax)
    with pytest.raises(ValueError, match=r"x must have shape \(5, 2\)"):
        plot.map(result, x[:4], y, ax)


def test_ellipses_have_the_covariances_and_the_centres(ax, rng):
    """The corners of each are r standard deviations from its mean: (x − m)ᵀ S⁻¹ (x − m) = r²."""
    means, covs = rng.standard_normal((3, 1, 2)), covariances(rng, 4, dim=2)
    assert plot.ellipses(means, covs, ax, radius=2.0, color="black") is ax
    paths = ax.collections[0].get_paths()
    assert len(paths) == 12
    for path, (i, j) in zip(paths, np.ndindex(3, 4), strict=True):
        z = path.vertices - means[i, 0]
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", z, np.linalg.inv(covs[j]), z), 4.0)
    assert ax.collections[0].get_facecolor()[0, 3] == 0.25
    plot.ellipses(np.zeros(2), np.diag([1.0, 0.0]), ax)
    ax.figure.draw_without_rendering()


def test_ellipses_must_be_in_the_plane(ax):
    with pytest.raises(ValueError, match=r"cov must have shape \(…, 2, 2\)"):
        plot.ellipses(np.zeros(3), np.eye(3), ax)
    with pytest.raises(ValueError, match="cov is not positive semi-definite"):
        plot.ellipses(np.zeros(2), -np.eye(2), ax)


def test_without_axes_the_current_ones_serve(rng):
    figure = pyplot.figure()
    try:
        assert plot.plan(otf.emd(None, None, rng.random((4, 4)))) is figure.gca()
    finally:
        pyplot.close(figure)


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'otfast\[plot\]'"):
        plot.plan(otf.emd(None, None, rng.random((3, 3))))
