"""Entropic plans between the grey levels of two photographs, and how they become the exact one as ε → 0.

The grey levels of a photograph are a measure on [0, 1], and the cost is the squared distance of two levels.
At every temperature ε the plan spreads the mass of a level over its neighbourhood; as ε falls, plans,
potentials and costs ⟨P, C⟩ tend to those of exact transport.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import otfast as otf
from otfast import datasets, plot
from otfast._certificate import marginal_error, violation
from otfast._extras import import_extra
from otfast.demo.report import Part, Row

__all__ = ["run"]

_Array = NDArray[np.floating[Any]]

#: Temperatures, where the largest cost is 1, and those of which the plan is drawn.
_EPSILONS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
_DRAWN = (1e-1, 1e-2, 1e-3, 1e-4)

#: The weights of red, green and blue in what looks equally bright.
_LUMA = np.array([0.299, 0.587, 0.114])


def run(folder: Path, quick: bool) -> Part:
    """Cool entropic transport down, compare it with exact transport, and draw both."""
    levels = 128 if quick else 256
    first, second = (GreyLevels.of(image, levels) for image in datasets.photographs().values())
    cost = otf.PointCloud(first.levels[:, None], second.levels[:, None])
    start = time.perf_counter()
    exact = otf.emd(first.weights, second.weights, cost)
    seconds = time.perf_counter() - start
    n, m = cost.shape
    gap = violation(exact, first.weights, second.weights, cost)
    rows = [Row(f"{n} x {m} grey levels, exact", exact.value, gap, seconds)]
    cooling = []
    for epsilon in _EPSILONS:
        start = time.perf_counter()
        result = otf.sinkhorn(first.weights, second.weights, cost, epsilon, tol=1e-9)
        seconds = time.perf_counter() - start
        error = marginal_error(
            result.potential_a, result.potential_b, first.weights, second.weights, cost, epsilon
        )
        rows.append(Row(f"{n} x {m} grey levels, eps = {epsilon:g}", result.value, error, seconds))
        cooling.append(Cooled.of(result, exact, epsilon))
    notes = [f"{'eps':>8}  {'<P, C> - exact':>16}  {'max |f_eps - f|':>16}"]
    notes += [f"{c.epsilon:8g}  {c.excess:16.3e}  {c.distance:16.3e}" for c in cooling]
    picture = folder / "entropic_plans.png"
    _draw(picture, first.levels, exact, cooling)
    return Part("Entropic transport of grey levels: down to exact transport", rows, [picture], notes)


@dataclass(frozen=True)
class GreyLevels:
    """The grey levels of an image: a measure on [0, 1]."""

    levels: _Array
    """Those that occur, in rising order, `(n,)`."""
    weights: _Array
    """Share of the pixels of each, `(n,)`."""

    @staticmethod
    def of(image: _Array, levels: int) -> GreyLevels:
        """Count the pixels of an image in each of so many levels."""
        rounded = np.rint(image.reshape(-1, 3) @ _LUMA * (levels - 1)).astype(np.int64)
        found, count = np.unique(rounded, return_counts=True)
        return GreyLevels(found / (levels - 1), count / count.sum())


@dataclass(frozen=True)
class Cooled:
    """An entropic solution beside the exact one."""

    result: otf.Transport
    epsilon: float
    excess: float
    """⟨P, C⟩ above its least value."""
    distance: float
    """The largest distance between the potentials f of the two, both shifted to mean 0."""

    @staticmethod
    def of(result: otf.Transport, exact: otf.Transport, epsilon: float) -> Cooled:
        """Measure the distances between two solutions."""
        distance = float(np.abs(result.gradient_a - exact.gradient_a).max())
        return Cooled(result, epsilon, result.value_linear - exact.value, distance)


def _draw(path: Path, levels: _Array, exact: otf.Transport, cooling: Sequence[Cooled]) -> None:
    figure = import_extra("matplotlib.figure", "demo").Figure(figsize=(15, 8.6), layout="constrained")
    figure.suptitle("As ε falls, entropic plans become the exact one", fontsize=15)
    above, below = figure.subfigures(2, 1, height_ratios=(1.0, 1.1))
    drawn = [cooled for cooled in cooling if cooled.epsilon in _DRAWN]
    colours = _from_hot_to_cold(len(drawn))
    panels = above.subplots(1, len(drawn) + 1)
    for ax, cooled, colour in zip(panels, drawn, colours, strict=False):
        _draw_plan(ax, cooled.result, f"ε = {cooled.epsilon:g}", colour)
    _draw_plan(panels[-1], exact, "exact", "black")
    panels[0].set_ylabel("grey level of the temple")
    left, middle, right = below.subplots(1, 3)
    for cooled, colour in zip(drawn, colours, strict=True):
        style = {"color": colour, "label": f"ε = {cooled.epsilon:g}", "linewidth": 1.8}
        left.plot(levels, cooled.result.gradient_a, **style)
        middle.plot(levels, cooled.result.gradient_a - exact.gradient_a, **style)
    left.plot(levels, exact.gradient_a, color="black", linestyle=(0, (4, 2)), linewidth=1.5, label="exact")
    left.set_title("potentials f, shifted to mean 0", fontsize=12, loc="left")
    middle.set_title("entropic minus exact potential", fontsize=12, loc="left")
    middle.axhline(0.0, color="black", linestyle=(0, (4, 2)), linewidth=1.2)
    left.legend(frameon=False)
    for ax in (left, middle):
        ax.set_xlabel("grey level of the temple, from black to white")
    _draw_distances(right, cooling)
    for ax in (left, middle, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def _draw_plan(ax: Any, result: otf.Transport, title: str, colour: Any) -> None:
    plot.plan(result, ax)
    ax.set(xticks=[], yticks=[], xlabel="grey level of the flower", ylabel="", box_aspect=1.0)
    ax.text(0.96, 0.95, title, transform=ax.transAxes, ha="right", va="top", fontsize=13, color=colour)


def _draw_distances(ax: Any, cooling: Sequence[Cooled]) -> None:
    epsilons = np.array([cooled.epsilon for cooled in cooling])
    ax.loglog(epsilons, [c.distance for c in cooling], "o-", color=plot.FIRST, label="max |f$_ε$ − f|")
    # Where it is lost in rounding, there is nothing to draw.
    excess = np.array([c.excess for c in cooling])
    seen = excess > 1e-12
    ax.loglog(epsilons[seen], excess[seen], "s-", color=plot.SECOND, label="⟨P$_ε$, C⟩ − ⟨P, C⟩")
    ax.set_xlabel("ε, where the largest cost is 1")
    ax.set_title("distance to exact transport", fontsize=12, loc="left")
    ax.grid(color="0.9")
    ax.legend(frameon=False)


def _from_hot_to_cold(count: int) -> list[Any]:
    colours: Any = import_extra("matplotlib", "demo").colormaps["plasma_r"]
    return [colours(share) for share in np.linspace(0.25, 0.9, count)]
