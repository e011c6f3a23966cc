"""The demo: it draws, what it prints is true, and its parts do what they say."""

import re

import numpy as np
import pytest
from matplotlib.image import imread

import otfast as otf
from otfast import datasets
from otfast.cli import main
from otfast.demo import barycenter_digits, barycenter_shapes, colour_grading, digits
from otfast.demo.barycenter_gaussians import rotated
from otfast.demo.colour_transfer import Palette, recolour
from otfast.demo.entropic import GreyLevels
from otfast.demo.entropic_colours import EntropicMap, Pixels
from otfast.demo.entropic_time import growth


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the demo once: the folder of its pictures and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    with pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("builtins.print", lambda *values, **_: printed.append(" ".join(map(str, values))))
        assert main(["demo", "--quick", "--out", str(folder)]) == 0
    return folder, "\n".join(printed)


def test_pictures_are_there_and_not_blank(demo):
    folder, printed = demo
    pictures = sorted(folder.glob("*.png"))
    assert [picture.name for picture in pictures] == [
        "barycenter_digits.png",
        "barycenter_ellipses.png",
        "barycenter_gaussians.png",
        "barycenter_line.png",
        "barycenter_shapes.png",
        "barycenter_sharpened.png",
        "colour_grading.png",
        "colour_palettes.png",
        "colour_transfer.png",
        "digits_alike.png",
        "entropic_colours.png",
        "entropic_plans.png",
        "entropic_time.png",
        "multimarginal.png",
    ]
    for picture in pictures:
        assert str(picture) in printed
        pixels = np.rint(255 * imread(picture)[..., :3]).astype(np.int64)
        assert min(pixels.shape[:2]) > 400
        assert len(np.unique(pixels @ [1 << 16, 1 << 8, 1])) > 400


def test_printed_gaps_are_certificates(demo):
    _, printed = demo
    rows = re.findall(r"^(.*?)  +[-+.e\d]+  +(\d\.\de[-+]\d\d)  +[\d.]+$", printed, re.MULTILINE)
    exact = [float(gap) for problem, gap in rows if "eps" not in problem]
    asked = [(float(problem.split("tol = ")[1]), float(error)) for problem, error in rows if "tol" in problem]
    others = [(problem, float(error)) for problem, error in rows if "eps" in problem and "tol" not in problem]
    entropic = [error for problem, error in others if "float32" not in problem]
    single = [error for problem, error in others if "float32" in problem]
    assert [len(exact), len(entropic), len(single), len(asked)] == [10, 15, 3, 6]
    assert all(0.0 <= error <= 1.05 * tol for tol, error in asked)
    assert all(0.0 <= gap <= 1e-12 for gap in exact)
    assert all(0.0 <= error <= 1.05e-6 for error in entropic)
    assert all(0.0 <= error <= 5e-5 for error in single)


def test_entropic_transport_cools_down_to_exact_transport(demo):
    _, printed = demo
    number = r"(\d\.\d{3}e[-+]\d\d)"
    rows = re.findall(rf"^ +([\de.-]+)  +{number}  +{number}$", printed, re.MULTILINE)
    epsilon, excess, distance = np.array(rows, dtype=float).T
    assert len(rows) == 9
    for falling in (epsilon, excess, distance):
        assert (np.diff(falling) < 0.0).all()
        assert (falling > 0.0).all()
    assert distance[-1] < 0.01 * distance[0]


def test_shapes_are_recognised_wherever_they_stand(demo):
    _, printed = demo
    found = dict(re.findall(r"^(Eucl.*?|W2.*?)  +([\d.]+%.*)$", printed, re.MULTILINE))
    rates = {name: [float(rate.rstrip("%")) for rate in row.split()] for name, row in found.items()}
    assert rates["W2 of the shapes, wherever they stand"][1] > 60.0
    assert (
        rates["W2 of the shapes, wherever they stand"][1]
        > rates["Euclidean distance of the pixels"][1] + 20.0
    )


def test_a_palette_is_a_measure_with_the_mean_of_the_image(rng):
    image = rng.random((20, 30, 3))
    image[0, 0] = 1.0
    palette = Palette.of(image, 4)
    assert palette.weights.sum() == pytest.approx(1.0)
    assert len(palette.colours) <= 64
    np.testing.assert_allclose(palette.weights @ palette.colours, image.mean((0, 1)))


def test_recolouring_by_one_shift_is_that_shift(rng):
    image = 0.5 * rng.random((10, 12, 3))
    palette = Palette.of(image, 3)
    shift = np.array([0.3, 0.1, 0.2])
    np.testing.assert_allclose(recolour(image, palette, palette.colours + shift), image + shift)


def test_grey_levels_are_a_measure_with_the_mean_of_the_image(rng):
    grey = rng.integers(0, 16, (20, 30)) / 15
    found = GreyLevels.of(np.repeat(grey[..., None], 3, axis=2), 16)
    assert (np.diff(found.levels) > 0.0).all()
    assert found.weights.sum() == pytest.approx(1.0)
    assert found.weights @ found.levels == pytest.approx(grey.mean())


def test_the_entropic_map_extends_the_plan(rng, monkeypatch):
    monkeypatch.setattr("otfast.demo.entropic_colours._BLOCK_SIZE", 100)
    x, y = rng.random((2, 25, 3), dtype=np.float32)
    a, b = rng.dirichlet(np.ones(25), 2)
    result = otf.sinkhorn(a, b, otf.PointCloud(x, y), 0.05)
    extended = EntropicMap(y, b, result.potential_b, 0.05)
    images, arrived = extended(x, a)
    np.testing.assert_allclose(images, result.barycentric_projection(y), atol=1e-4)
    np.testing.assert_allclose(arrived, b, atol=1e-4)


def test_every_pixel_moves_to_the_image_of_its_colour(rng):
    image = rng.integers(0, 3, (8, 9, 3)) / 2
    y, b = rng.random((5, 3)), rng.dirichlet(np.ones(5))
    target = EntropicMap(y, b, np.zeros(5), 0.1)
    moved, error = Pixels.of(image).move(target)
    images, arrived = target(image.reshape(-1, 3), np.full(72, 1 / 72))
    np.testing.assert_allclose(moved.reshape(-1, 3), images, atol=1e-6)
    assert error == pytest.approx(np.abs(arrived - b).sum(), abs=1e-5)


def test_growth_is_the_exponent_of_the_larger_sizes():
    assert growth((10, 20, 40, 80), [1.0, 1.0, 0.4**3, 0.8**3]) == pytest.approx(3.0)


def test_moving_images_changes_their_distances_as_the_formula_says(rng):
    images = rng.random((5, digits.SIDE, digits.SIDE))
    offsets = rng.integers(-digits.SHIFT, digits.SHIFT + 1, (5, 2))
    pairs = digits.Pairs.solve(images[:2], images[2:])
    assert pairs.gap() <= 1e-12
    squared = pairs.squared(offsets[:2], offsets[2:])
    frames = digits.move(images, offsets)
    axis = np.arange(float(digits.SIDE + 2 * digits.SHIFT))
    for i in range(2):
        for j in range(3):
            a, b = frames[i], frames[2 + j]
            direct = otf.emd(a / a.sum(), b / b.sum(), otf.Grid(axis, axis)).value
            assert squared[i, j] == pytest.approx(direct, rel=1e-12)
    np.testing.assert_allclose(
        np.diagonal(digits.Pairs.solve(images, images).squared_of_shapes), 0.0, atol=1e-12
    )


def test_most_alike_pairs_are_the_nearest_of_a_label():
    squared = np.array([[5.0, 1.0, 0.0], [2.0, 0.5, 3.0]])
    assert digits.most_alike(squared, np.array([4, 7]), np.array([4, 4, 7])) == [(0, 1), (1, 2)]


def numbers(line, printed):
    """Return the numbers that stand in the line that this expression finds."""
    (found,) = re.findall(line, printed, re.MULTILINE)
    return [float(number) for number in re.findall(r"(?<![\w^])\d+(?:\.\d+)?(?:e[-+]\d+)?", found)]


def test_the_corners_of_grids_are_the_inputs(demo):
    _, printed = demo
    (on_the_line,) = re.findall(r"up to (\S+) of the highest density", printed)
    assert float(on_the_line) < 2e-3
    (elsewhere,) = re.findall(r"corners, (\S+)% of the mass is elsewhere", printed)
    assert float(elsewhere) < 4.0


def test_weights_of_a_grid_are_bilinear():
    weights = barycenter_shapes.bilinear(3)
    np.testing.assert_array_equal(weights[[0, 2, 6, 8]], np.eye(4))
    np.testing.assert_array_equal(weights[4], np.full(4, 0.25))
    np.testing.assert_array_equal(weights.sum(axis=1), np.ones(9))


def test_densities_on_the_line_have_mass_1_and_the_inputs_at_their_corners():
    line = barycenter_shapes.on_the_line(levels=1000, side=3)
    widths = np.gradient(line.points, axis=-1)
    np.testing.assert_allclose((line.densities * widths).sum(axis=-1), 1.0, atol=0.01)
    np.testing.assert_allclose(line.corners, line.truth, atol=2e-3 * line.truth.max())
    assert line.gap < 1e-12


def test_a_path_is_sharpened_to_the_bound(demo):
    _, printed = demo
    blurred, sharp, debiased, bound = numbers(r"^Half way (.*)\.$", printed)
    assert sharp <= bound + 1.0
    assert blurred > 1.2 * bound
    assert debiased < 1.1 * bound


def test_the_barycenter_of_ellipses_is_as_thin_as_they_are(demo):
    _, printed = demo
    one, mean, barycenter = numbers(r"^The first pair of (.*)\.$", printed)
    assert barycenter < 3.0 * one
    assert mean > 2.0 * barycenter


def test_mean_covariances_bloat(demo):
    _, printed = demo
    for line, factor in (("^mild (.*)", 1.1), ("^anisotropic (.*)", 1.6)):
        corner, barycenter, mean, largest, largest_mean = numbers(line, printed)
        assert corner < barycenter < mean / factor
        assert [largest, largest_mean] == [barycenter, mean]


def test_rotated_covariances_have_their_deviations():
    S = rotated((0.0, 30.0, 90.0), (2.0, 0.5))
    np.testing.assert_allclose(np.linalg.eigvalsh(S), [[0.25, 4.0]] * 3)
    np.testing.assert_allclose(S[0], np.diag([4.0, 0.25]))
    np.testing.assert_allclose(S[2], np.diag([0.25, 4.0]), atol=1e-15)


def test_barycenters_of_digits_are_nearer_to_the_images_than_means(demo):
    _, printed = demo
    rows = re.findall(r"^ +(\d)  +([\d.]+)  +([\d.]+)  +([\d.]+) +([\d.]+)$", printed, re.MULTILINE)
    digit, of_mean, of_barycenter, wide, narrow = np.array(rows, dtype=float).T
    np.testing.assert_array_equal(digit, np.arange(10))
    assert (of_barycenter < 0.95 * of_mean).all()
    assert (narrow < 0.7 * wide).all()


def test_the_distance_of_a_class_is_exact_on_the_pixels_of_the_scan():
    images = datasets.digits().images[:3]
    one = barycenter_digits.Class.of(digits.move(images, np.zeros((3, 2), int)))
    np.testing.assert_allclose(one.images.sum((1, 2)), 1.0)
    distance, gap = one.distance(one.mean)
    assert gap <= 1e-12
    mean, *coarse = (image.reshape(12, 3, 12, 3).sum((1, 3)).ravel() for image in (one.mean, *one.images))
    pixels = np.indices((12, 12)).reshape(2, -1).T.astype(float)
    squares = [otf.wasserstein(pixels, pixels, mean, image) ** 2 for image in coarse]
    assert distance == pytest.approx(np.mean(squares), rel=1e-9)


def test_a_look_between_others_is_found(demo):
    _, printed = demo
    (line,) = re.findall(r"^coordinates among (.*)$", printed, re.MULTILINE)
    true, found, flower = (np.fromstring(text, sep=",") for text in re.findall(r"\[(.*?)\]", line))
    np.testing.assert_array_equal(true, colour_grading.TRUE_WEIGHTS)
    np.testing.assert_allclose(found, true, atol=0.04)
    assert flower.sum() == pytest.approx(1.0, abs=2e-3)


def test_a_histogram_of_colours_keeps_mass_and_mean(rng):
    image = rng.uniform(0.2, 0.8, (20, 30, 3))
    weights = colour_grading.histogram(image, 8)
    axis = (np.arange(8) + 0.5) / 8
    centres = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    assert weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(weights @ centres, image.mean((0, 1)))


def test_looks_have_a_barycenter_that_is_the_look_of_the_mean_gains(rng):
    """The maps between looks are positive and diagonal, and so optimal."""
    image = rng.random((6, 5, 3))
    day, sunset, _ = (look.reshape(-1, 3) for look in colour_grading.looks(image).values())
    squares = ((day - sunset) ** 2).sum(axis=1).mean()
    assert otf.emd(None, None, otf.PointCloud(day, sunset)).value == pytest.approx(squares)
