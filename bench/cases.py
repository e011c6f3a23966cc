"""Seeded instances of exact transport: every family of `otfast.datasets` in the sizes of RESULTS.md."""

from functools import partial

from otfast import datasets

#: A case is made when it is asked for: the large ones take hundreds of megabytes as arrays.
CASES = {
    **{f"uniform-points-{n}": partial(datasets.uniform_points, n) for n in (500, 1000, 2000, 4000)},
    **{
        f"weighted-points-{n}": partial(datasets.uniform_points, n, weighted=True)
        for n in (500, 1000, 2000, 4000)
    },
    "gaussian-64d-4000": partial(datasets.gaussian_points, 4000),
    "weighted-gaussian-64d-4000": partial(datasets.gaussian_points, 4000, weighted=True),
    "images-32": partial(datasets.smooth_images, 32),
    "images-48": partial(datasets.smooth_images, 48),
    "random-costs-2000": partial(datasets.random_costs, 2000),
    "weighted-random-costs-2000": partial(datasets.random_costs, 2000, weighted=True),
    "weighted-points-500x5000": partial(datasets.uniform_points, 500, 5000, weighted=True),
    "integer-weights-2000": partial(datasets.integer_weights, 2000),
}

#: Numbers of points of the problems of a batch.
BATCHES = (10, 50, 100)

#: Numbers of points in the plane for which no cost matrix is stored.
CLOUDS = (10_000, 20_000)
