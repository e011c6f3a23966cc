"""What otfast raises and warns about beyond the built-in exceptions."""

from __future__ import annotations

__all__ = ["ConvergenceWarning", "InfeasibleError"]


class InfeasibleError(ValueError):
    """Every plan with these marginals uses a forbidden pair (a ``+inf`` cost)."""


class ConvergenceWarning(UserWarning):
    """A solver returned before it reached its tolerance; the result says ``converged == False``."""
