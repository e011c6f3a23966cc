"""The examples in the docstrings of the installed package are true."""

import doctest
import importlib
import pkgutil

import pytest

import otfast

MODULES = ["otfast", *(found.name for found in pkgutil.walk_packages(otfast.__path__, "otfast."))]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_examples(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "otfast":
            raise
        pytest.skip(f"{name} needs {error.name}, which an extra brings")
    failures, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert failures == 0
