"""Gaussians in a grid between four corners: their barycenters, beside the mean of their covariances.

The barycenter of Gaussians is a Gaussian. Thin ones of different directions have a thin barycenter; the mean
of their covariances, which is what a mixture has, bloats.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otfast import gaussian, plot
from otfast._extras import import_extra
from otfast.demo.barycenter_shapes import bilinear
from otfast.demo.report import Part, Row

__all__ = ["rotated", "run"]

_Array = NDArray[np.floating[Any]]

#: Gaussians along a side of the grid.
_SIDE = 7

#: Directions at the corners, row by row, in degrees; standard deviations along and across them.
_DIRECTIONS = (20.0, 70.0, -25.0, 115.0)
_DEVIATIONS = {"mild": (0.42, 0.2), "anisotropic": (0.48, 0.04)}


def run(folder: Path, quick: bool) -> Part:
    """Compute all barycenters of two grids in one call each, and draw them."""
    rows, notes = [], []
    figure = import_extra("matplotlib.figure", "demo").Figure(figsize=(11.0, 11.4), layout="constrained")
    figure.suptitle("Gaussians between four corners: a mean of covariances bloats", fontsize=15)
    axes = figure.subplots(2, 2)
    weights = bilinear(_SIDE)
    places = np.stack(np.divmod(np.arange(_SIDE**2), _SIDE)[::-1], axis=1) * np.array([1.0, -1.0])
    to_rgb = import_extra("matplotlib.colors", "demo").to_rgb
    corners = np.array([to_rgb(colour) for colour in (plot.FIRST, plot.SECOND, "#7a4fa3", "#4c9a52")])
    tints = np.clip(weights @ corners, 0.0, 1.0)
    for (left, right), (name, deviations) in zip(axes, _DEVIATIONS.items(), strict=True):
        covs = rotated(_DIRECTIONS, deviations)
        start = time.perf_counter()
        found = gaussian.barycenter(np.zeros((4, 2)), covs, weights, tol=1e-13)
        seconds = time.perf_counter() - start
        mean = np.einsum("lk,kij->lij", weights, covs)
        problem = f"{_SIDE**2} barycenters of Gaussians, {name}"
        rows.append(Row(problem, float(np.mean(found.value)), float(np.max(found.error)), seconds))
        areas = [np.pi * np.sqrt(np.linalg.det(S)) for S in (covs[0], found.cov, mean)]
        notes.append(
            f"{name:12} area at the corners {areas[0]:.3f}, in the middle: barycenter "
            f"{areas[1][_SIDE**2 // 2]:.3f}, mean of covariances {areas[2][_SIDE**2 // 2]:.3f}; largest: "
            f"{areas[1].max():.3f}, {areas[2].max():.3f}"
        )
        for ax, S, title in ((left, found.cov, "Wasserstein barycenters"), (right, mean, "mean covariances")):
            plot.ellipses(places, S, ax, color=tints, opacity=0.45)
            ax.set_title(f"{title}, {name}", fontsize=12, loc="left")
            ax.set_axis_off()
    picture = folder / "barycenter_gaussians.png"
    figure.savefig(picture, dpi=120)
    return Part("Barycenters of Gaussians", rows, [picture], notes)


def rotated(directions: tuple[float, ...], deviations: tuple[float, float]) -> _Array:
    """Return covariances of these deviations along and across directions in degrees, `(k, 2, 2)`."""
    angles = np.deg2rad(directions)
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    frames = np.stack([along, across], axis=1)
    covs: _Array = np.einsum("d,kdi,kdj->kij", np.square(deviations), frames, frames)
    return covs
