"""Packages that only some parts need: imported when these are used, and missed in plain words."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["import_extra"]


def import_extra(name: str, extra: str) -> Any:
    """Import a module that the extra `extra` brings, or say how to install it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        message = f"this needs {package}: python -m pip install 'otfast[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
