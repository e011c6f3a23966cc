"""What holds for all benchmarks: one thread, for every library."""

import os

# JAX and PyTorch read these when they are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false --xla_force_host_platform_device_count=1"
)

import pytest

from otfast.comparison import table
from peers import PEERS, is_installed


@pytest.fixture(params=PEERS)
def peer(request):
    """A library that is installed."""
    library = PEERS[request.param]
    if not is_installed(library):
        pytest.skip(f"{request.param} is not installed")
    return library


@pytest.fixture(autouse=True)
def one_thread():
    with table.one_thread():
        yield
