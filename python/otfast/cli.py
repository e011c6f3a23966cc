"""The command line: ``otfast demo``, ``otfast bench``, ``otfast info``."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy

import otfast
from otfast import _core

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        0, or 1 where a package or a folder is missing, or a result is wrong; errors in arguments exit with 2.
    """
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except (ModuleNotFoundError, OSError) as error:
        print(f"otfast {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="otfast", description="Fast and certified optimal transport.")
    parser.add_argument("--version", action="version", version=f"otfast {otfast.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="solve problems on real images and draw what comes out")
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("otfast-demo"),
        metavar="FOLDER",
        help="where pictures go (%(default)s)",
    )
    demo.add_argument("--quick", action="store_true", help="smaller inputs, a few seconds")
    demo.set_defaults(run=_demo)

    bench = commands.add_parser("bench", help="compare speed and answers with POT and SciPy")
    bench.add_argument("--quick", action="store_true", help="smaller problems, a few seconds")
    bench.set_defaults(run=_bench)

    info = commands.add_parser("info", help="tell what this installation uses")
    info.set_defaults(run=_info)
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    from otfast import demo

    demo.run(arguments.out, arguments.quick)
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    from otfast import comparison

    return 0 if comparison.run(arguments.quick) else 1


def _info(arguments: argparse.Namespace) -> int:
    if not _core.cuda_built():
        cuda = "not part of this build"
    else:
        cuda = "available" if _core.cuda_available() else "built, but no device is available"
    lines = {
        "otfast": otfast.__version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "kernels": f"{_core.isa()} (OTFAST_ISA=base|v3|v4 overrides)",
        "threads": f"{otfast.get_num_threads()} (OTFAST_NUM_THREADS or set_num_threads overrides)",
        "CUDA": cuda,
    }
    for name, value in lines.items():
        print(f"{name:8} {value}")
    return 0
