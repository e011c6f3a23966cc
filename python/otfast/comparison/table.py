"""What the tables of all rooms share: how peers are timed, and how a line is printed."""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import otfast as otf

__all__ = ["Table", "clock", "one_thread", "pot_is_installed"]

#: Seconds after which a solver is not run once more.
_LONG = 5.0


@dataclass(frozen=True)
class Table:
    """A table of seconds and checks, printed line by line."""

    solvers: tuple[str, ...]
    """Columns of seconds; the first is otfast."""
    checks: tuple[str, ...]
    """Columns of what was checked."""

    def print_header(self) -> None:
        """Print the names of the columns."""
        solvers = " ".join(f"{name:>8}" for name in self.solvers)
        checks = " ".join(f"{name:>12}" for name in self.checks)
        print(f"{'problem':32} {solvers} {'ratio':>7} {checks}")

    def print_line(
        self,
        problem: str,
        seconds: Mapping[str, float],
        checks: Sequence[float | None],
        right: bool,
        failed: Collection[str] = (),
    ) -> None:
        """Print a line, with a dash for a solver that did not run and a check that was not made.

        Those that failed to solve the problem do not count for the ratio.
        """
        us, *others = self.solvers
        counted = (seconds[name] for name in others if name in seconds and name not in failed)
        best = min(counted, default=None)
        ratio = "-" if best is None else f"{best / seconds[us]:.1f}"
        columns = " ".join(
            f"{seconds[name]:8.4f}" if name in seconds else f"{'-':>8}" for name in self.solvers
        )
        shown = " ".join(f"{'-':>12}" if check is None else f"{check:12.1e}" for check in checks)
        print(f"{problem:32} {columns} {ratio:>7} {shown}{'' if right else '  WRONG'}", flush=True)


def clock(
    solvers: Mapping[str, Callable[[], Any]], rounds: int = 3
) -> tuple[dict[str, float], dict[str, Any]]:
    """Run all solvers in turn, several rounds, and return median CPU seconds and answers.

    A solver that has taken some seconds does not run again.
    """
    seconds: dict[str, list[float]] = {name: [] for name in solvers}
    answers = {}
    for _ in range(rounds):
        for name, solve in solvers.items():
            if sum(seconds[name]) >= _LONG:
                continue
            start = time.process_time()
            answers[name] = solve()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}, answers


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let otfast use one thread, and the BLAS of the others too where threadpoolctl is installed."""
    threads = otf.get_num_threads()
    otf.set_num_threads(1)
    try:
        with _blas_on_one_thread():
            yield
    finally:
        otf.set_num_threads(threads)


def pot_is_installed() -> bool:
    """Whether POT can be compared with."""
    return importlib.util.find_spec("ot") is not None


def _blas_on_one_thread() -> contextlib.AbstractContextManager[Any]:
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        return contextlib.nullcontext()
    limits: contextlib.AbstractContextManager[Any] = threadpool_limits(1)
    return limits
