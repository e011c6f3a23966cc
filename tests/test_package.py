"""The face of the package: names, version, and examples that run."""

import doctest
import importlib
import pkgutil

import pytest

import otfast as otf
from processes import run_python

MODULES = ["otfast", *(f"otfast.{module.name}" for module in pkgutil.iter_modules(otf.__path__))]


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_exists(name):
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", []):
        assert hasattr(module, public), public


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_version():
    assert otf.__version__.count(".") >= 2


def test_errors_are_what_callers_catch():
    assert issubclass(otf.InfeasibleError, ValueError)
    assert issubclass(otf.ConvergenceWarning, UserWarning)


def test_importing_takes_nothing_optional_along():
    code = "import sys, otfast; print({'tqdm', 'ot', 'matplotlib', 'torch', 'jax'} & set(sys.modules))"
    assert run_python(code) == "set()\n"
