"""What ``otfast demo`` shows: transport at work on real images.

Each part is a module with a function ``run(folder, quick)`` that solves something, draws it, and returns a
`Part`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from otfast._extras import import_extra
from otfast.demo import (
    barycenter_digits,
    barycenter_gaussians,
    barycenter_shapes,
    colour_grading,
    colour_transfer,
    digits,
    entropic,
    entropic_colours,
    entropic_time,
    multimarginal,
)
from otfast.demo.report import Part, format_part

__all__ = ["PARTS", "run"]

PARTS: tuple[Callable[[Path, bool], Part], ...] = (
    colour_transfer.run,
    digits.run,
    entropic.run,
    entropic_colours.run,
    entropic_time.run,
    multimarginal.run,
    barycenter_shapes.run,
    barycenter_gaussians.run,
    barycenter_digits.run,
    colour_grading.run,
)


def run(folder: Path, quick: bool = False) -> list[Part]:
    """Run all parts, write their pictures to a folder, and print what was computed.

    Parameters
    ----------
    folder : pathlib.Path
        Where the pictures go; made if it does not exist.
    quick : bool, default False
        Whether to work on smaller inputs, in a few seconds.

    Returns
    -------
    list of Part
        What was printed.

    Raises
    ------
    ImportError
        If a package is missing; the message says how to install it.
    """
    for package in ("matplotlib", "sklearn", "PIL"):
        import_extra(package, "demo")
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    parts = []
    for run_part in PARTS:
        part = run_part(folder, quick)
        print(format_part(part), flush=True)
        parts.append(part)
    print(f"Done in {time.perf_counter() - start:.1f} s.")
    return parts
