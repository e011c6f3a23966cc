"""Seeded instances: every family of `otfast.datasets` in the sizes of RESULTS.md."""

from functools import partial

from otfast import datasets
from otfast.comparison.entropic import EPSILONS

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

#: Entropic problems and temperatures, in units of the largest cost.
ENTROPIC = {
    f"{name}-eps-{epsilon:g}": (make, epsilon)
    for name, make, epsilons in (
        ("uniform-points-1000", partial(datasets.uniform_points, 1000), EPSILONS),
        ("gaussian-64d-1000", partial(datasets.gaussian_points, 1000), EPSILONS),
        ("uniform-points-4000", partial(datasets.uniform_points, 4000), (1e-2,)),
    )
    for epsilon in epsilons
}

#: Iterations in the log domain: problem, temperature and how many.
LOG_ITERATIONS = (partial(datasets.uniform_points, 1000), 1e-2, 20)

#: Iterations on points, without a matrix: problem, temperature and how many.
POINTS = {
    f"points-{dim}d-{n}": (partial(datasets.uniform_points, n, dim=dim), 0.05 * dim, 3)
    for dim, n in ((2, 5000), (3, 5000), (64, 3000))
}

#: Number and size of the problems of an entropic batch.
ENTROPIC_BATCH = (1000, 64)
