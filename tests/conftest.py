"""What holds for all tests: reproducible examples, one thread unless a test says otherwise."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import otfast as otf

settings.register_profile(
    "default", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.register_profile("thorough", settings.get_profile("default"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def one_thread():
    """Start every test with one thread, whatever the test before it did."""
    otf.set_num_threads(1)


@pytest.fixture
def rng():
    return np.random.default_rng(20240229)
