"""The demo: it draws, what it prints is true, and its parts do what they say."""

import re

import numpy as np
import pytest
from matplotlib.image import imread

import otfast as otf
from otfast.cli import main
from otfast.demo import digits
from otfast.demo.colour_transfer import Palette, recolour


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
        "colour_palettes.png",
        "colour_transfer.png",
        "digits_alike.png",
    ]
    for picture in pictures:
        assert str(picture) in printed
        pixels = imread(picture)[..., :3]
        assert min(pixels.shape[:2]) > 400
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500


def test_printed_gaps_are_certificates(demo):
    _, printed = demo
    gaps = [float(gap) for gap in re.findall(r"  (\d\.\de[-+]\d\d)  ", printed)]
    assert len(gaps) == 2
    assert all(0.0 <= gap <= 1e-12 for gap in gaps)


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
