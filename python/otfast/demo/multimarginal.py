"""Many marginals at once: the flow of an ideal fluid, and electrons that avoid each other.

A fluid in a tube that must end up at σ(x) takes, in Brenier's relaxation of Euler's equations, paths on which
particles cross: six marginals on a cycle, each of them uniform. Three electrons on a line with the least
Coulomb energy stand a third of their charge apart: wherever one is, the others have no choice.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otfast import multimarginal, plot
from otfast._extras import import_extra
from otfast.demo.report import Part, Row

__all__ = ["run"]

_Array = NDArray[np.float64]

_TIMES = 6
_ELECTRONS = 3

#: Temperature of the fluid, where the tube has length 1.
_FLUID = 0.02


def run(folder: Path, quick: bool) -> Part:
    """Let the fluid flow and the electrons settle, and draw the pair marginals of both."""
    n = 64 if quick else 256
    t = (np.arange(n) + 0.5) / n
    start = time.perf_counter()
    flow = multimarginal.sinkhorn([None] * _TIMES, multimarginal.euler_flow(t, 1 - t, _TIMES), _FLUID)
    rows = [
        Row(f"fluid, {_TIMES} times, {n} points, eps", flow.value, flow.error, time.perf_counter() - start)
    ]

    m = 20 if quick else 40
    x = np.linspace(-1, 1, m)
    density = np.cos(0.45 * np.pi * x) ** 2
    density /= density.sum()
    start = time.perf_counter()
    electrons = multimarginal.solve([density] * _ELECTRONS, multimarginal.coulomb(x, _ELECTRONS))
    seconds = time.perf_counter() - start
    rows.append(Row(f"{_ELECTRONS} electrons, {m} points, exact", electrons.value, electrons.error, seconds))
    atoms = electrons.sparse_plan.nnz
    notes = [
        f"The exact plan has {atoms} of {m**_ELECTRONS} tuples; the pair marginals of the fluid take "
        f"{n}² numbers each, its plan would take {n}^{_TIMES}."
    ]
    picture = folder / "multimarginal.png"
    _draw(picture, flow, electrons)
    return Part("Many marginals: an ideal fluid, and electrons", rows, [picture], notes)


def _draw(picture: Path, flow: Any, electrons: Any) -> None:
    figure = import_extra("matplotlib.figure", "demo").Figure(figsize=(15, 6), layout="constrained")
    axes = figure.subplots(2, _TIMES - 1)
    for k in range(1, _TIMES):
        ax = plot.pair_marginal(flow, 0, k, axes[0, k - 1])
        ax.set(title=f"particles of a fluid, time {k}", xlabel=f"place at time {k}", ylabel="place at time 0")
    pairs = [(k, j) for k in range(_ELECTRONS) for j in range(k + 1, _ELECTRONS)]
    for ax, (k, j) in zip(axes[1], pairs, strict=False):
        plot.pair_marginal(electrons, k, j, ax)
        ax.set(title=f"electrons {k} and {j}", xlabel=f"place of electron {j}", ylabel=f"of electron {k}")
    for ax in axes[1, len(pairs) :]:
        ax.set_axis_off()
    figure.savefig(picture, dpi=120)
