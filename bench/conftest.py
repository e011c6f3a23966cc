"""What holds for all benchmarks: one thread, as the other libraries use."""

import pytest

import otfast as otf


@pytest.fixture(autouse=True)
def one_thread():
    otf.set_num_threads(1)
