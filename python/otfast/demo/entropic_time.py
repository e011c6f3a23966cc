"""Time against the number of points, for exact and for entropic transport.

The points are the colours of pixels that are drawn at random from two photographs, the costs are in memory,
and everything runs on one thread.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import otfast as otf
from otfast import datasets, plot
from otfast._certificate import marginal_error, violation
from otfast._extras import import_extra
from otfast.comparison.entropic import scaled
from otfast.comparison.table import clock, one_thread
from otfast.datasets import TransportProblem
from otfast.demo.report import Part, Row

__all__ = ["run"]

_Array = NDArray[np.floating[Any]]

#: Temperatures, in units of the largest cost.
_EPSILONS = (1e-1, 1e-2, 1e-3)

_SIZES = (125, 250, 500, 1000, 2000)
_QUICK_SIZES = (50, 100, 200)


def run(folder: Path, quick: bool) -> Part:
    """Measure the times of solvers on growing samples, and draw them."""
    sizes = _QUICK_SIZES if quick else _SIZES
    pixels = [image.reshape(-1, 3) for image in datasets.photographs().values()]
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {}
    rows: list[Row] = []
    for n in sizes:
        x, y = (rng.choice(colours, n, replace=False) for colours in pixels)
        weights = np.full(n, 1.0 / n)
        rows = _measure(scaled(TransportProblem(weights, weights, otf.PointCloud(x, y))))
        for row in rows:
            seconds.setdefault(row.problem, []).append(row.seconds)
    notes = [f"{'CPU seconds':12} {' '.join(f'{n:9}' for n in sizes)}   growth"]
    notes += [
        f"{solver:12} {' '.join(f'{value:9.4f}' for value in times)}   n^{growth(sizes, times):.1f}"
        for solver, times in seconds.items()
    ]
    picture = folder / "entropic_time.png"
    _draw(picture, sizes, seconds)
    largest = [Row(f"{sizes[-1]} colours, {row.problem}", row.value, row.gap, row.seconds) for row in rows]
    return Part("Time against the number of points: exact and entropic", largest, [picture], notes)


def growth(sizes: tuple[int, ...], times: list[float]) -> float:
    """Return the exponent of n that fits the times of the larger half of the sizes."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(times[half:]), 1)[0])


def _measure(problem: TransportProblem) -> list[Row]:
    """Solve one problem exactly and at every temperature, and return its rows."""
    a, b, cost = problem.a, problem.b, problem.C
    epsilons = {f"eps = {epsilon:g}": epsilon for epsilon in _EPSILONS}
    with one_thread():
        seconds, results = clock(
            {
                "exact": partial(otf.emd, a, b, cost),
                **{name: partial(otf.sinkhorn, a, b, cost, epsilon) for name, epsilon in epsilons.items()},
            }
        )
    gaps = {"exact": violation(results["exact"], a, b, cost)}
    for name, epsilon in epsilons.items():
        f, g = results[name].potential_a, results[name].potential_b
        gaps[name] = marginal_error(f, g, a, b, cost, epsilon)
    return [Row(name, results[name].value, gaps[name], seconds[name]) for name in results]


def _draw(path: Path, sizes: tuple[int, ...], seconds: dict[str, list[float]]) -> None:
    figure = import_extra("matplotlib.figure", "demo").Figure(figsize=(8.5, 5.5), layout="constrained")
    ax = figure.add_subplot()
    warm: Any = import_extra("matplotlib", "demo").colormaps["plasma_r"]
    colours = [plot.FIRST, *(warm(share) for share in np.linspace(0.25, 0.8, len(seconds) - 1))]
    for (solver, times), colour in zip(seconds.items(), colours, strict=True):
        label = solver if solver == "exact" else f"entropic, {solver.replace('eps', 'ε')} of the largest cost"
        ax.loglog(sizes, times, "o-", color=colour, linewidth=2.2 if solver == "exact" else 1.6, label=label)
    n = np.array(sizes, dtype=np.float64)
    guide = 0.5 * min(times[-1] for times in seconds.values()) * (n / n[-1]) ** 2
    ax.loglog(n, guide, color="0.6", linestyle="--", linewidth=1.0, label="growth like n²")
    ax.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    ax.minorticks_off()
    ax.grid(color="0.92")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("n = m, colours of pixels of two photographs")
    ax.set_ylabel("CPU seconds on one thread")
    ax.set_title("Time against the number of points", fontsize=13, loc="left")
    ax.legend(frameon=False)
    figure.savefig(path, dpi=120)
