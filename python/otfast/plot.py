"""Pictures of transport plans, of barycenters and of Gaussians, on matplotlib axes.

Every function draws on the axes it is given, or on the current ones, and returns them. It needs the extra
`plot`: ``python -m pip install 'otfast[plot]'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._extras import import_extra
from otfast._gaussian_validation import as_covariances, as_means, common_batch
from otfast._validation import as_array, as_points, check_finite, check_real
from otfast.multimarginal import MultiTransport
from otfast.result import Transport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["barycenter_grid", "ellipses", "map", "pair_marginal", "plan", "simplex"]

#: Colours of the first and of the second measure.
FIRST = "#1f6f8b"
SECOND = "#e07a3f"

#: Plans are drawn with at most this many cells along a side: more than a screen tells apart.
_MOST_CELLS = 512

#: Cells of a plan without atoms are drawn from this share of the largest on: a step of the colours.
_LEAST_SHARE = 1 / 256

#: Area in points squared of the largest mark of a cloud of at most so many points; larger clouds have smaller
#: ones.
_LARGEST_MARK = 60.0
_SMALL_CLOUD = 100

#: An ellipse is a polygon of so many corners.
_ELLIPSE_CORNERS = 100

#: The space between two pictures of a grid, as a share of one of them.
_GAP = 0.06


def plan(transport: Transport, ax: Axes | None = None, *, cmap: str = "magma_r") -> Axes:
    """Draw a plan as a heat map, with its marginals along the sides.

    Parameters
    ----------
    transport : Transport
        What a solver returned. Rows and columns are drawn in their order: points on a line should be sorted.
    ax : matplotlib.axes.Axes, optional
        Where to draw; the current axes by default.
    cmap : str, default "magma_r"
        Colour map of the masses.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the heat map; those of the marginals are its ``child_axes``.

    Raises
    ------
    ImportError
        If matplotlib is missing; the message says how to install it.

    Notes
    -----
    A large plan is summed over cells as it is read, and never made dense. Cells without mass stay blank; in a
    plan without atoms, such as an entropic one, so do those with less than 1/256 of the largest mass.

    Examples
    --------
    >>> import numpy as np
    >>> import otfast as otf
    >>> from otfast import plot
    >>> x = np.linspace(0, 1, 50)
    >>> ax = plot.plan(otf.emd_1d(x, x**2))  # doctest: +SKIP
    """
    ax = _axes(ax)
    n, m = transport.shape
    sparse = transport.sparse_plan
    rows, cols = sparse.coords
    shape = (min(n, _MOST_CELLS), min(m, _MOST_CELLS))
    cells, _, _ = np.histogram2d(rows, cols, shape, [(0, n), (0, m)], weights=sparse.data)
    least = 0.0 if transport.coupling.n_atoms is not None else _LEAST_SHARE * cells.max()
    ax.imshow(
        np.where(cells > least, cells, np.nan),
        cmap=cmap,
        vmin=0.0,
        extent=(-0.5, m - 0.5, n - 0.5, -0.5),
        aspect="auto",
        interpolation="nearest",
    )
    ax.set_xlabel("columns")
    ax.set_ylabel("rows")
    above = ax.inset_axes((0.0, 1.03, 1.0, 0.18), sharex=ax)
    above.fill_between(np.arange(m), transport.b, step="mid", color=SECOND)
    above.set_ylim(bottom=0.0)
    beside = ax.inset_axes((1.03, 0.0, 0.18, 1.0), sharey=ax)
    beside.fill_betweenx(np.arange(n), transport.a, step="mid", color=FIRST)
    beside.set_xlim(left=0.0)
    for marginal in (above, beside):
        marginal.set_axis_off()
    return ax


def pair_marginal(
    transport: MultiTransport, k: int, j: int, ax: Axes | None = None, *, cmap: str = "magma_r"
) -> Axes:
    """Draw where the mass of one node of a multi-marginal plan is at another, as a heat map.

    Parameters
    ----------
    transport : MultiTransport
        What a solver returned. Points are drawn in their order: those on a line should be sorted.
    k, j : int
        The nodes of the rows and of the columns.
    ax : matplotlib.axes.Axes, optional
        Where to draw; the current axes by default.
    cmap : str, default "magma_r"
        Colour map of the masses.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If `k` and `j` are not two nodes.
    ImportError
        If matplotlib is missing; the message says how to install it.

    Examples
    --------
    >>> from otfast import multimarginal, plot
    >>> cost = multimarginal.coulomb([0.0, 1.0, 2.0, 3.0], n_marginals=2)
    >>> result = multimarginal.solve([None, None], cost)
    >>> ax = plot.pair_marginal(result, 0, 1)  # doctest: +SKIP
    """
    axes = _axes(ax)
    mass = transport.pair_marginal(k, j)
    least = _LEAST_SHARE * mass.max()
    shown = np.where(mass > least, mass, np.nan)
    axes.imshow(shown, cmap=cmap, vmin=0.0, aspect="auto", interpolation="nearest")
    axes.set_xlabel(f"node {j}")
    axes.set_ylabel(f"node {k}")
    return axes


def map(
    transport: Transport,
    x: ArrayLike,
    y: ArrayLike,
    ax: Axes | None = None,
    *,
    color_x: Any = FIRST,
    color_y: Any = SECOND,
    segment_color: Any = "0.35",
    size: float | None = None,
    most_segments: int = 4000,
) -> Axes:
    """Draw two clouds in the plane and where the mass goes between them.

    Marks have areas proportional to weights; the opacity of a segment grows with its mass.

    Parameters
    ----------
    transport : Transport
        A plan between the clouds.
    x, y : array_like, shapes (n, 2) and (m, 2)
        Points of the rows and of the columns.
    ax : matplotlib.axes.Axes, optional
        Where to draw; the current axes by default.
    color_x, color_y : color or list of colors
        Colours of the points.
    segment_color : color, default "0.35"
        Colour of the segments.
    size : float, optional
        Area of the mark of the largest weight, in points squared; by default the smaller, the more points
        there are.
    most_segments : int, default 4000
        Only so many segments, of the largest masses, are drawn.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the points are not in the plane or do not fit the plan.
    ImportError
        If matplotlib is missing; the message says how to install it.

    Examples
    --------
    >>> import numpy as np
    >>> import otfast as otf
    >>> from otfast import plot
    >>> x, y = np.random.default_rng(0).random((2, 40, 2))
    >>> ax = plot.map(otf.emd(None, None, otf.PointCloud(x, y)), x, y)  # doctest: +SKIP
    """
    n, m = transport.shape
    points_x, points_y = _in_plane("x", x, n), _in_plane("y", y, m)
    collections = import_extra("matplotlib.collections", "plot")
    colors = import_extra("matplotlib.colors", "plot")
    ax = _axes(ax)
    sparse = transport.sparse_plan
    rows, cols = sparse.coords
    heaviest = np.argsort(-sparse.data, kind="stable")[:most_segments]
    rows, cols, mass = rows[heaviest], cols[heaviest], sparse.data[heaviest]
    if mass.size:
        shades = np.tile(colors.to_rgba(segment_color), (mass.size, 1))
        shades[:, 3] = 0.8 * np.sqrt(mass / mass.max())
        segments = np.stack([points_x[rows], points_y[cols]], axis=1)
        ax.add_collection(collections.LineCollection(segments, colors=shades, linewidths=0.8, zorder=1))
    for points, weights, color in ((points_x, transport.a, color_x), (points_y, transport.b, color_y)):
        largest = _LARGEST_MARK * min(1.0, _SMALL_CLOUD / len(points)) if size is None else size
        ax.scatter(
            points[:, 0], points[:, 1], s=largest * weights / weights.max(), c=color, linewidths=0.0, zorder=2
        )
    ax.set_aspect("equal")
    ax.autoscale_view()
    return ax


def ellipses(
    mean: ArrayLike,
    cov: ArrayLike,
    ax: Axes | None = None,
    *,
    radius: float = 1.0,
    color: Any = FIRST,
    opacity: float = 0.25,
) -> Axes:
    """Draw Gaussians in the plane as ellipses, {m + r S^½ u : ‖u‖ ≤ 1}.

    Parameters
    ----------
    mean : array_like, shape (…, 2)
        Means m.
    cov : array_like, shape (…, 2, 2)
        Covariances S; leading axes are broadcast. One of rank 1 is a segment.
    ax : matplotlib.axes.Axes, optional
        Where to draw; the current axes by default.
    radius : float, default 1
        r, in standard deviations.
    color : color or list of colors
        Colours of the ellipses, in C order of the leading axes.
    opacity : float, default 0.25
        Of the inside, between 0 and 1.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the Gaussians are not in the plane, or a covariance is not symmetric and positive semi-definite.
    ImportError
        If matplotlib is missing; the message says how to install it.

    Examples
    --------
    >>> import numpy as np
    >>> from otfast import gaussian, plot
    >>> times = np.linspace(0, 1, 5)
    >>> zero, S = np.zeros(2), np.diag([1.0, 0.1])
    >>> path = gaussian.geodesic(zero, S, zero + 5, S[::-1, ::-1], times)
    >>> ax = plot.ellipses(*path)  # doctest: +SKIP
    """
    S = as_covariances("cov", cov)
    if S.shape[-1] != 2:
        raise ValueError(f"cov must have shape (…, 2, 2), but its shape is {S.shape}")
    m = as_means("mean", mean, 2)
    radius = check_real("radius", radius, 0.0, strictly=True)
    batch = common_batch({"mean": m.shape[:-1], "cov": S.shape[:-2]})
    collections = import_extra("matplotlib.collections", "plot")
    colors = import_extra("matplotlib.colors", "plot")
    ax = _axes(ax)
    variances, vectors = np.linalg.eigh(np.asarray(S, np.float64))
    axes = vectors * np.sqrt(np.maximum(variances, 0.0))[..., None, :]
    angles = np.linspace(0.0, 2.0 * np.pi, _ELLIPSE_CORNERS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    outlines = m[..., None, :] + radius * np.swapaxes(axes @ circle, -1, -2)
    corners = np.broadcast_to(outlines, (*batch, _ELLIPSE_CORNERS, 2)).reshape(-1, _ELLIPSE_CORNERS, 2)
    edges = colors.to_rgba_array(color)
    faces = edges.copy()
    faces[:, 3] *= opacity
    ax.add_collection(collections.PolyCollection(corners, facecolors=faces, edgecolors=edges, linewidths=1.0))
    ax.set_aspect("equal")
    ax.autoscale_view()
    return ax


def barycenter_grid(
    images: ArrayLike,
    ax: Axes | None = None,
    *,
    points: ArrayLike | None = None,
    clamp: float = 0.9,
    cmap: str = "magma_r",
    color: Any = FIRST,
) -> Axes:
    """Draw measures side by side in rows and columns, such as the barycenters between four corners.

    Parameters
    ----------
    images : array_like, shape (rows, columns, h, w) or (rows, columns, n)
        Images, or densities on the line, not negative.
    ax : matplotlib.axes.Axes, optional
        Where to draw; the current axes by default.
    points : array_like, shape (n,) or (rows, columns, n), optional
        Where the densities on the line have these values; ``0, ..., n − 1`` by default.
    clamp : float, default 0.9
        The densest parts of an image, with what is beyond this share of its mass, look alike: a peak does
        not pale the rest. With 1 only the highest is darkest.
    cmap : str, default "magma_r"
        Colour map of the images, each on a scale of its own.
    color : color or list of colors
        Colours of the densities on the line, in C order; their scale is common.

    Returns
    -------
    matplotlib.axes.Axes
        Without frame or ticks; the pictures are its ``child_axes``, in C order.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.
    ImportError
        If matplotlib is missing; the message says how to install it.

    Examples
    --------
    >>> import numpy as np
    >>> import otfast as otf
    >>> from otfast import datasets, plot
    >>> shapes = list(datasets.silhouettes(32).values())[:4]
    >>> s, t = np.meshgrid(*2 * [np.linspace(0, 1, 5)], indexing="ij")
    >>> weights = np.stack([(1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t], axis=-1)
    >>> found = otf.barycenter.convolutional(shapes, weights.reshape(25, 4), epsilon=4e-3, tol=1e-3)
    >>> ax = plot.barycenter_grid(np.reshape([b.weights for b in found], (5, 5, 32, 32)))  # doctest: +SKIP
    """
    stack = as_array("images", images)
    if stack.ndim not in (3, 4) or stack.size == 0:
        raise ValueError(
            f"images must have shape (rows, columns, h, w) or (rows, columns, n), but it is {stack.shape}"
        )
    check_finite("images", stack)
    if (stack < 0.0).any():
        raise ValueError("images must not be negative")
    clamp = check_real("clamp", clamp, 0.0, strictly=True)
    if clamp > 1.0:
        raise ValueError(f"clamp must be at most 1, but it is {clamp}")
    rows, columns = stack.shape[:2]
    x = None
    if stack.ndim == 3:
        at = as_array("points", np.arange(stack.shape[2]) if points is None else points)
        if at.shape not in (stack.shape[2:], stack.shape):
            raise ValueError(
                f"points must have shape {stack.shape[2:]} or {stack.shape}, but it is {at.shape}"
            )
        x = np.broadcast_to(at, stack.shape)
        colors = import_extra("matplotlib.colors", "plot").to_rgba_array(color)
    elif points is not None:
        raise ValueError("points go with densities on the line, not with images")
    ax = _axes(ax)
    ax.set_axis_off()
    width, height = 1.0 / (columns + (columns - 1) * _GAP), 1.0 / (rows + (rows - 1) * _GAP)
    for i, j in np.ndindex(rows, columns):
        left, bottom = j * width * (1.0 + _GAP), 1.0 - i * height * (1.0 + _GAP) - height
        child = ax.inset_axes((left, bottom, width, height))
        child.set(xticks=[], yticks=[])
        for spine in child.spines.values():
            spine.set_color("0.85")
        if x is None:
            top = _clamping_density(stack[i, j], clamp)
            child.imshow(stack[i, j], cmap=cmap, vmin=0.0, vmax=top or 1.0, interpolation="nearest")
            continue
        tint = colors[(i * columns + j) % len(colors)]
        child.fill_between(x[i, j], stack[i, j], color=tint, alpha=0.25, linewidth=0.0)
        child.plot(x[i, j], stack[i, j], color=tint, linewidth=1.4)
        child.set(xlim=(x.min(), x.max()), ylim=(0.0, 1.08 * (stack.max() or 1.0)))
    return ax


def simplex(
    weights: ArrayLike,
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
    *,
    color: Any = FIRST,
    size: float = 40.0,
    marker: str = "o",
) -> Axes:
    """Draw barycentric coordinates as points of a polygon, whose corners are the measures.

    Parameters
    ----------
    weights : array_like, shape (…, K)
        Coordinates λ, not negative; each K of them are scaled to the sum 1.
    labels : sequence of K str, optional
        Names of the corners.
    ax : matplotlib.axes.Axes, optional
        Where to draw; the current axes by default. A second call adds points to a polygon that is there.
    color : color or list of colors
        Colours of the points.
    size : float, default 40
        Area of a mark, in points squared.
    marker : str, default "o"
        Shape of the marks.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.
    ImportError
        If matplotlib is missing; the message says how to install it.

    Notes
    -----
    The corners of the regular polygon lie on the unit circle, the first at its top and the others clockwise:
    a triangle for K = 3. For larger K several λ share a point.

    Examples
    --------
    >>> from otfast import plot
    >>> ax = plot.simplex([[0.2, 0.5, 0.3]], ["morning", "noon", "evening"])  # doctest: +SKIP
    """
    lambdas = as_array("weights", weights)
    if lambdas.ndim < 1 or lambdas.shape[-1] < 2 or lambdas.size == 0:
        raise ValueError(f"weights must have shape (…, K) with K ≥ 2, but it is {lambdas.shape}")
    check_finite("weights", lambdas)
    totals = lambdas.sum(axis=-1, keepdims=True)
    if (lambdas < 0.0).any() or not (totals > 0.0).all():
        raise ValueError("weights must not be negative, and not all zero")
    count = lambdas.shape[-1]
    if labels is not None and len(labels) != count:
        raise ValueError(f"labels must be {count}, one for each corner, but they are {len(labels)}")
    ax = _axes(ax)
    angles = np.pi / 2.0 - 2.0 * np.pi * np.arange(count) / count
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outline = import_extra("matplotlib.patches", "plot").Polygon(
        corners, fill=False, edgecolor="0.6", linewidth=1.2, zorder=1
    )
    ax.add_patch(outline)
    for (x, y), label in zip(corners, labels or (), strict=False):
        across = "center" if abs(x) < 0.1 else "left" if x > 0.0 else "right"
        along = "bottom" if y > 0.1 else "top" if y < -0.1 else "center"
        ax.annotate(
            label,
            (x, y),
            (6.0 * x, 6.0 * y),
            textcoords="offset points",
            ha=across,
            va=along,
            annotation_clip=False,
        )
    found = (lambdas / totals).reshape(-1, count) @ corners
    ax.scatter(found[:, 0], found[:, 1], s=size, c=color, marker=marker, zorder=2)
    ax.set(aspect="equal", xlim=(-1.15, 1.15), ylim=(-1.15, 1.15))
    ax.set_axis_off()
    return ax


def _clamping_density(image: NDArray[Any], share: float) -> float:
    """Return the least density that is not exceeded where this share of the mass is."""
    densities = np.sort(image, axis=None)
    mass = np.cumsum(densities, dtype=np.float64)
    return float(densities[min(np.searchsorted(mass, share * mass[-1]), densities.size - 1)])


def _axes(ax: Axes | None) -> Axes:
    return import_extra("matplotlib.pyplot", "plot").gca() if ax is None else ax


def _in_plane(name: str, value: ArrayLike, size: int) -> NDArray[Any]:
    points = as_points(name, value)
    if points.shape != (size, 2):
        raise ValueError(f"{name} must have shape ({size}, 2), but its shape is {points.shape}")
    return points
