"""Other libraries of entropic transport: each gets its own arrays first, so that only its solver is timed.

Every class has the methods of `Otfast`; one that is missing, or returns None, is something that the library
does not do. They return a function to be timed, and one that reads what it returns: `Potentials`, or a
barycenter.
"""

import importlib.util
import math
import time
from functools import partial

import numpy as np
import pytest

import otfast as otf
from otfast.comparison.entropic import MOST_ITERATIONS, TOLERANCE, Potentials, otfast_sinkhorn, pot_sinkhorn
from otfast.datasets import TransportProblem

#: GeomLoss makes so many iterations, with falling temperatures, and has no tolerance.
ANNEALING = 100

#: Seconds from which on one round is enough.
LONG = 3.0

#: OTT-JAX takes products with kernels if the least of their entries, e^{−C/ε}, is far above the least number.
LARGEST_EXPONENT = 600.0


def run(benchmark, group, peer, method, *arguments):
    """Time what a method of a peer prepares, and return what it finds."""
    prepared = getattr(peer, method)(*arguments) if hasattr(peer, method) else None
    if prepared is None:
        pytest.skip(f"{peer.package} has nothing of this kind")
    solve, read = prepared
    start = time.perf_counter()
    solve()  # compiles, and warms the caches
    rounds = 3 if time.perf_counter() - start < LONG else 1
    benchmark.group = group
    return read(benchmark.pedantic(solve, rounds=rounds))


class Otfast:
    package = "otfast"

    def to_tolerance(self, problem, epsilon):
        return partial(otfast_sinkhorn, problem, epsilon), lambda answer: answer

    def iterate_log(self, problem, epsilon, n_iter):
        return self._iterate(problem.a, problem.b, problem.C, epsilon, n_iter)

    def iterate_points(self, x, y, epsilon, n_iter):
        return self._iterate(None, None, otf.PointCloud(x, y), epsilon, n_iter)

    def batch(self, A, B, C, epsilon):
        def read(transports):
            return [Potentials(t.potential_a, t.potential_b, t.n_iter) for t in transports]

        return partial(otf.sinkhorn_batch, A, B, C, epsilon, tol=TOLERANCE), read

    def barycenter(self, case):
        return partial(case.otfast, case.n_iter), lambda w: w

    def _iterate(self, a, b, C, epsilon, n_iter):
        solve = partial(otf.sinkhorn, a, b, C, epsilon, method="log", tol=0.0, max_iter=n_iter)
        return solve, lambda t: Potentials(t.potential_a, t.potential_b, t.n_iter)


class Pot:
    package = "ot"

    def to_tolerance(self, problem, epsilon):
        return partial(pot_sinkhorn, problem, epsilon), lambda answer: answer

    def iterate_log(self, problem, epsilon, n_iter):
        import ot

        C = problem.C.dense()
        a, b = problem.a.astype(C.dtype), problem.b.astype(C.dtype)
        options = {"method": "sinkhorn_log", "stopThr": 0.0, "numItermax": n_iter, "log": True, "warn": False}

        def read(answer):
            u, v = answer[1]["log_u"], answer[1]["log_v"]
            return Potentials(epsilon * (u - np.log(a)), epsilon * (v - np.log(b)), n_iter)

        return partial(ot.sinkhorn, a, b, C, epsilon, **options), read

    def iterate_points(self, x, y, epsilon, n_iter):
        import ot

        options = {"isLazy": True, "batchSize": 1000, "stopThr": 0.0, "numIterMax": n_iter, "warn": False}

        def read(answer):
            f, g = answer
            return Potentials(epsilon * (f + np.log(len(x))), epsilon * (g + np.log(len(y))), n_iter)

        return partial(ot.bregman.empirical_sinkhorn, x, y, epsilon, **options), read

    def batch(self, A, B, C, epsilon):
        problems = [TransportProblem(a, b, otf.DenseCost(c)) for a, b, c in zip(A, B, C, strict=True)]
        return lambda: [pot_sinkhorn(problem, epsilon) for problem in problems], lambda answer: answer

    def barycenter(self, case):
        return partial(case.pot, case.n_iter), lambda w: w


class Ott:
    package = "ott"

    def to_tolerance(self, problem, epsilon):
        return self._solve_matrix(problem, epsilon, threshold=TOLERANCE, max_iterations=MOST_ITERATIONS)

    def iterate_log(self, problem, epsilon, n_iter):
        return self._solve_matrix(problem, epsilon, **self._exactly(n_iter))

    def iterate_points(self, x, y, epsilon, n_iter):
        from ott.geometry.pointcloud import PointCloud

        def make(x, y):
            # Its batches, which would save memory, do not run with every version of JAX.
            return PointCloud(x, y, epsilon=epsilon)

        weights = np.full(len(x), 1.0 / len(x), x.dtype), np.full(len(y), 1.0 / len(y), y.dtype)
        return self._solve(make, (x, y), *weights, epsilon, **self._exactly(n_iter))

    def barycenter(self, case):
        import jax
        from ott.geometry.geometry import Geometry
        from ott.geometry.grid import Grid
        from ott.problems.linear.barycenter_problem import FixedBarycenterProblem
        from ott.solvers.linear.discrete_barycenter import FixedBarycenter

        jax.config.update("jax_enable_x64", True)
        shape = case.histograms.shape[1:]
        largest = float(len(shape)) if case.C is None else case.C.max()
        solver = FixedBarycenter(
            lse_mode=largest > LARGEST_EXPONENT * case.epsilon,
            debiased=case.is_debiased,
            **self._exactly(case.n_iter),
        )
        a, weights = jax.device_put((case.histograms.reshape(len(case.histograms), -1), case.weights))
        if case.C is None:
            axes = jax.device_put([np.linspace(0.0, 1.0, size) for size in shape])
            geometry = Grid(x=axes, epsilon=case.epsilon)
        else:
            geometry = Geometry(jax.device_put(case.C), epsilon=case.epsilon)
        problem = FixedBarycenterProblem(geometry, a, weights)
        # Before its iterations, which are compiled, a debiased one looks whether costs are symmetric.
        solve = solver if case.is_debiased else jax.jit(solver)

        def read(answer):
            w = np.asarray(answer).reshape(shape)
            return w / w.sum()

        return lambda: jax.block_until_ready(solve(problem).histogram), read

    def _solve_matrix(self, problem, epsilon, **options):
        from ott.geometry.geometry import Geometry

        C = problem.C.dense()
        a, b = problem.a.astype(C.dtype), problem.b.astype(C.dtype)
        return self._solve(lambda C: Geometry(C, epsilon=epsilon), (C,), a, b, epsilon, **options)

    def _solve(self, make, arrays, a, b, epsilon, **options):
        """Compile a solver with its input as arguments; potentials of OTT include ε log of the weights."""
        import jax
        from ott.problems.linear.linear_problem import LinearProblem
        from ott.solvers.linear.sinkhorn import Sinkhorn

        jax.config.update("jax_enable_x64", True)
        solver = Sinkhorn(**options)

        @jax.jit
        def compiled(a, b, *arrays):
            answer = solver(LinearProblem(make(*arrays), a, b))
            return answer.f, answer.g, answer.n_iters

        on_device = jax.device_put((a, b, *arrays))

        def read(answer):
            f, g, n_iter = (np.asarray(part) for part in answer)
            return Potentials(f - epsilon * np.log(a), g - epsilon * np.log(b), int(n_iter))

        return lambda: jax.block_until_ready(compiled(*on_device)), read

    def _exactly(self, n_iter):
        counts = dict.fromkeys(("inner_iterations", "min_iterations", "max_iterations"), n_iter)
        return {"threshold": 0.0, **counts}


class GeomLoss:
    package = "geomloss"

    def to_tolerance(self, problem, epsilon):
        return self._solve_matrix(problem, epsilon, ANNEALING)

    def iterate_log(self, problem, epsilon, n_iter):
        return self._solve_matrix(problem, epsilon, n_iter)

    def iterate_points(self, x, y, epsilon, n_iter):
        import torch
        from geomloss import ot

        points = torch.from_numpy(x), torch.from_numpy(y)
        return partial(ot.solve_sample, *points, reg=epsilon, max_iter=n_iter), partial(self._read, n_iter)

    def batch(self, A, B, C, epsilon):
        import torch
        from geomloss import ot

        a, b, costs = (torch.from_numpy(part) for part in (A, B, C))
        options = {"reg": epsilon, "max_iter": ANNEALING}

        def read(answer):
            f, g, n_iter = self._read(ANNEALING, answer)
            return [Potentials(*pair, n_iter) for pair in zip(f, g, strict=True)]

        return partial(ot.solve_batch, costs, a=a, b=b, **options), read

    def barycenter(self, case):
        """Make about as many iterations; it knows debiased barycenters of square images alone."""
        if case.C is not None or not case.is_debiased or importlib.util.find_spec("pykeops") is None:
            return None
        import torch
        from geomloss import ImagesBarycenter

        size = case.histograms.shape[1]
        # Its pixels are 1/size apart, and its costs half of the squares.
        blur = math.sqrt(case.epsilon / 2.0) * (size - 1) / size
        iterations = max(1, round(case.n_iter / math.log2(size)))  # at each of the scales
        stack, weights = torch.from_numpy(case.histograms), torch.from_numpy(case.weights)

        def read(answer):
            w = answer[0, 0].numpy()
            return w / w.sum()

        return partial(ImagesBarycenter, stack[None], weights[None], blur=blur, scaling_N=iterations), read

    def _solve_matrix(self, problem, epsilon, n_iter):
        import torch
        from geomloss import ot

        C = problem.C.dense()
        a, b = (torch.from_numpy(weights.astype(C.dtype)) for weights in (problem.a, problem.b))
        solve = partial(ot.solve, torch.tensor(C), a=a, b=b, reg=epsilon, max_iter=n_iter)
        return solve, partial(self._read, n_iter)

    @staticmethod
    def _read(n_iter, answer):
        return Potentials(answer.potential_a.numpy(), answer.potential_b.numpy(), n_iter)


def is_installed(peer):
    """Whether a library and what it computes with can be imported."""
    packages = {"geomloss": ("geomloss", "torch")}.get(peer.package, (peer.package,))
    return all(importlib.util.find_spec(package) for package in packages)


#: All by name, otfast first.
PEERS = {"otfast": Otfast(), "POT": Pot(), "OTT-JAX": Ott(), "GeomLoss": GeomLoss()}
