"""Other libraries of entropic transport: each gets its own arrays first, so that only its solver is timed.

Every class has the methods of `Otfast`; one that is missing is something that the library does not do. They
return a function to be timed, and one that reads `Potentials` from what it returns.
"""

import importlib.util
from functools import partial

import numpy as np

import otfast as otf
from otfast.comparison.entropic import MOST_ITERATIONS, TOLERANCE, Potentials, otfast_sinkhorn, pot_sinkhorn
from otfast.datasets import TransportProblem

#: GeomLoss makes so many iterations, with falling temperatures, and has no tolerance.
ANNEALING = 100


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
