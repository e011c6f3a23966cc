"""How long work talks to the user: a callback, a progress bar, or both."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Progress"]

#: What the core calls with (iteration, error, value); returning True stops the solver.
Monitor = Callable[[int, float, float], bool]


class Progress(NamedTuple):
    """Where a solver stands; what a ``callback=`` is called with."""

    iteration: int
    """What the result's `n_iter` counts."""
    error: float
    """The result's `error` at this point; NaN where it is not known yet."""
    value: float
    """The objective at this point; NaN where it is not known yet."""


class Reporter:
    """Passes what the core reports on to a callback and to a tqdm bar.

    Used as a context manager around one solve; `monitor` goes to the core, and `finish` makes the last
    report.
    """

    def __init__(self, callback: Callable[[Progress], Any] | None, progress: bool, title: str) -> None:
        if callback is not None and not callable(callback):
            raise ValueError(f"callback must be callable, not {callback!r}")
        self._callback = callback
        self._progress = progress
        self._title = title
        self._bar: Any = None
        self._last = Progress(0, math.nan, math.nan)
        self._stopped = False

    @property
    def monitor(self) -> Monitor | None:
        """The function for the core, or None where nobody listens."""
        return self._report if self._callback is not None or self._progress else None

    @property
    def listener(self) -> Monitor | None:
        """For preliminary work, which can be stopped, too, but whose progress is not that of the call."""
        return None if self.monitor is None else lambda *_: self._report(0, math.nan, math.nan)

    @property
    def repeater(self) -> Monitor | None:
        """For a long pass inside an iteration: says again what was said last; a wish to stop is kept."""
        return None if self.monitor is None else lambda *_: self._report(*self._last)

    def finish(self, iteration: int, error: float, value: float) -> None:
        """Report the final state; the work is over, and a callback that asks to stop changes nothing."""
        self._report(iteration, error, value)

    def _report(self, iteration: int, error: float, value: float) -> bool:
        if self._bar is not None:
            self._bar.set_postfix({"error": f"{error:.2e}", "value": f"{value:.6g}"}, refresh=False)
            self._bar.update(iteration - self._bar.n)
        self._last = Progress(iteration, error, value)
        if self._callback is not None:
            self._stopped = bool(self._callback(self._last)) or self._stopped
        return self._stopped

    def __enter__(self) -> Reporter:
        if self._progress:
            from tqdm.auto import tqdm

            self._bar = tqdm(desc=self._title, unit="it")
        return self

    def __exit__(self, *raised: object) -> None:
        if self._bar is not None:
            self._bar.close()
