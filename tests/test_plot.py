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


def test_a_grid_of_images_shows_each_on_a_scale_of_its_own(ax, rng):
    images = rng.dirichlet(np.ones(20), (2, 3)).reshape(2, 3, 4, 5)
    assert plot.barycenter_grid(images, ax, clamp=1.0) is ax
    shown = [child.images[0] for child in ax.child_axes]
    assert len(shown) == 6
    for found, image in zip(shown, images.reshape(6, 4, 5), strict=True):
        np.testing.assert_array_equal(found.get_array(), image)
        assert found.get_clim() == (0.0, image.max())
    # Row by row, from above.
    corners = [child.get_position() for child in ax.child_axes]
    assert corners[0].x0 < corners[1].x0 < corners[2].x0
    assert corners[0].y0 == pytest.approx(corners[2].y0)
    assert corners[3].y1 < corners[0].y0
    ax.figure.draw_without_rendering()


def test_a_peak_does_not_pale_the_rest(ax):
    image = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 3.0]])
    plot.barycenter_grid(image[None, None], ax, clamp=0.7)
    assert ax.child_axes[0].images[0].get_clim() == (0.0, 1.0)
    plot.barycenter_grid(np.zeros((1, 1, 2, 2)), ax)
    ax.figure.draw_without_rendering()


def test_a_grid_of_densities_has_lines_on_one_scale(ax, rng):
    densities = rng.random((2, 2, 30))
    points = np.sort(rng.random((2, 2, 30)), axis=-1)
    plot.barycenter_grid(densities, ax, points=points, color=["red", "blue"])
    for child, (i, j) in zip(ax.child_axes, np.ndindex(2, 2), strict=True):
        (line,) = child.lines
        np.testing.assert_array_equal(line.get_xydata(), np.stack([points[i, j], densities[i, j]], axis=1))
        assert matplotlib.colors.same_color(line.get_color(), ["red", "blue"][j])
        assert child.get_xlim() == (points.min(), points.max())
        assert child.get_ylim() == ax.child_axes[0].get_ylim()
    plot.barycenter_grid(densities, ax)
    np.testing.assert_array_equal(ax.child_axes[-1].lines[0].get_xdata(), np.arange(30))


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.ones((3, 4)), {}, r"images must have shape \(rows, columns, h, w\)"),
        (-np.ones((1, 1, 3)), {}, "images must not be negative"),
        (np.full((1, 1, 3), np.nan), {}, "images"),
        (np.ones((1, 1, 3)), {"points": np.ones(4)}, r"points must have shape \(3,\) or"),
        (np.ones((1, 1, 3, 3)), {"points": np.ones(3)}, "points go with densities"),
        (np.ones((1, 1, 3, 3)), {"clamp": 1.5}, "clamp must be at most 1"),
        (np.ones((1, 1, 3, 3)), {"clamp": 0.0}, "clamp"),
    ],
)
def test_what_is_no_grid_of_measures_is_refused(ax, images, options, message):
    with pytest.raises(ValueError, match=message):
        plot.barycenter_grid(images, ax, **options)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_coordinates_are_points_of_a_regular_polygon(ax, rng, count):
    names = [f"measure {k}" for k in range(count)]
    weights = np.concatenate([2.0 * np.eye(count), rng.dirichlet(np.ones(count), 4)])
    assert plot.simplex(weights, names, ax) is ax
    drawn = np.asarray(ax.collections[0].get_offsets())
    corners = drawn[:count]
    np.testing.assert_allclose(np.hypot(*corners.T), 1.0)
    np.testing.assert_allclose(corners[0], [0.0, 1.0], atol=1e-15)
    np.testing.assert_allclose(ax.patches[0].get_xy()[:count], corners)
    sides = np.hypot(*(corners - np.roll(corners, 1, axis=0)).T)
    np.testing.assert_allclose(sides, sides[0])
    np.testing.assert_allclose(drawn[count:], weights[count:] @ corners)
    assert [text.get_text() for text in ax.texts] == names
    for text, corner in zip(ax.texts, corners, strict=True):
        np.testing.assert_allclose(text.xy, corner)
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("weights", "labels", "message"),
    [
        ([1.0], None, "weights must have shape"),
        ([0.5, -0.5, 1.0], None, "weights must not be negative"),
        ([0.0, 0.0, 0.0], None, "not all zero"),
        ([0.5, np.nan, 1.0], None, "weights"),
        ([0.5, 0.2, 0.3], ["a", "b"], "labels must be 3"),
    ],
)
def test_what_is_no_coordinates_is_refused(ax, weights, labels, message):
    with pytest.raises(ValueError, match=message):
        plot.simplex(weights, labels, ax)


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
