from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict, type_check_only

import numpy as np
from numpy.typing import NDArray

# Arrays whose precision is that of the function: float32 or float64 by its suffix, known at run time only.
_RealArray = NDArray[np.floating[Any]]
_Monitor = Callable[[int, float, float], bool] | None

@type_check_only
class _EmdResult(TypedDict):
    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    mass: NDArray[np.float64]
    potential_a: NDArray[np.float64]
    potential_b: NDArray[np.float64]
    value: float
    dual_value: float
    status: str
    n_iter: int

# Problem k has the plan entries start[k]:start[k + 1]; `status` numbers C++'s `Status`.
@type_check_only
class _BatchResult(TypedDict):
    start: NDArray[np.int64]
    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    mass: NDArray[np.float64]
    potential_a: NDArray[np.float64]
    potential_b: NDArray[np.float64]
    value: NDArray[np.float64]
    dual_value: NDArray[np.float64]
    status: NDArray[np.uint8]
    n_iter: NDArray[np.int64]

@type_check_only
class _SinkhornResult(TypedDict):
    status: str
    potential_a: NDArray[np.float64]
    potential_b: NDArray[np.float64]
    value: float
    error: float
    n_iter: int

# Row k belongs to problem k; `status` numbers C++'s `Status`.
@type_check_only
class _SinkhornBatchResult(TypedDict):
    status: NDArray[np.uint8]
    potential_a: NDArray[np.float64]
    potential_b: NDArray[np.float64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]
    n_iter: NDArray[np.int64]

@type_check_only
class _pybind11_type(type): ...

# Entry k belongs to family k; `status` numbers C++'s `Status`.
@type_check_only
class _BuresBarycenterResult(TypedDict):
    covariance: NDArray[np.float64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]
    n_iter: NDArray[np.int64]
    status: NDArray[np.uint8]

# The bases have no constructor: calling them raises.
class Cost32(metaclass=_pybind11_type):
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    def rows(self, begin: int, end: int) -> NDArray[np.float32]: ...
    def entries(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float32]: ...
    def summary(self) -> tuple[float, float, float, int, int]: ...

class Cost64(metaclass=_pybind11_type):
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    def rows(self, begin: int, end: int) -> NDArray[np.float64]: ...
    def entries(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float64]: ...
    def summary(self) -> tuple[float, float, float, int, int]: ...

class DenseCost32(Cost32):
    def __init__(self, C: _RealArray) -> None: ...

class DenseCost64(Cost64):
    def __init__(self, C: _RealArray) -> None: ...

class PointCost32(Cost32):
    def __init__(self, x: _RealArray, y: _RealArray, metric: str, p: float, q: float) -> None: ...

class PointCost64(Cost64):
    def __init__(self, x: _RealArray, y: _RealArray, metric: str, p: float, q: float) -> None: ...

class Ascent32(metaclass=_pybind11_type):
    def __init__(
        self,
        b: NDArray[np.float64],
        epsilon: float,
        step: float,
        batch: int,
        a: NDArray[np.float64] | None,
        monitor: _Monitor,
    ) -> None: ...
    def run(self, cost: Cost32, rows: NDArray[np.int64]) -> bool: ...
    def potentials(self) -> NDArray[np.float64]: ...
    @property
    def error(self) -> float: ...
    @property
    def iterations(self) -> int: ...

class Ascent64(metaclass=_pybind11_type):
    def __init__(
        self,
        b: NDArray[np.float64],
        epsilon: float,
        step: float,
        batch: int,
        a: NDArray[np.float64] | None,
        monitor: _Monitor,
    ) -> None: ...
    def run(self, cost: Cost32 | Cost64, rows: NDArray[np.int64]) -> bool: ...
    def potentials(self) -> NDArray[np.float64]: ...
    @property
    def error(self) -> float: ...
    @property
    def iterations(self) -> int: ...

def set_num_threads(count: int) -> None: ...
def get_num_threads() -> int: ...
def isa() -> Literal["base", "v3", "v4"]: ...
def cuda_built() -> bool: ...
def cuda_available() -> bool: ...
def weight_summary(weights: _RealArray) -> tuple[float, int]: ...
def emd(
    cost: Cost32 | Cost64,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    start: str,
    f: NDArray[np.float64] | None,
    tolerance: float,
    max_pivots: int,
    monitor: _Monitor,
) -> _EmdResult: ...
def emd_batch(
    C: _RealArray,
    A: NDArray[np.float64],
    B: NDArray[np.float64],
    start: str,
    tolerance: float,
    max_pivots: int,
    monitor: _Monitor,
) -> _BatchResult: ...
def sinkhorn(
    cost: Cost32 | Cost64,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    epsilon: float,
    method: str,
    tolerance: float,
    max_iterations: int,
    rho_a: float,
    rho_b: float,
    g: NDArray[np.float64] | None,
    may_store: bool,
    range: float,
    largest: float,
    wide: bool,
    monitor: _Monitor,
) -> _SinkhornResult: ...
def sinkhorn_batch(
    C: _RealArray,
    A: NDArray[np.float64],
    B: NDArray[np.float64],
    epsilon: float,
    method: str,
    tolerance: float,
    max_iterations: int,
    rho_a: float,
    rho_b: float,
    G: NDArray[np.float64] | None,
    wide: bool,
    monitor: _Monitor,
) -> _SinkhornBatchResult: ...
def plan_rows(
    cost: Cost32 | Cost64,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    f: NDArray[np.float64],
    g: NDArray[np.float64],
    epsilon: float,
    wide: bool,
    begin: int,
    end: int,
) -> _RealArray: ...
def plan_apply(
    cost: Cost32 | Cost64,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    f: NDArray[np.float64],
    g: NDArray[np.float64],
    epsilon: float,
    wide: bool,
    x: NDArray[np.float64],
    transpose: bool,
) -> _RealArray: ...
def plan_value(
    cost: Cost32 | Cost64,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    f: NDArray[np.float64],
    g: NDArray[np.float64],
    epsilon: float,
    wide: bool,
) -> float: ...
def sinkhorn_grid(
    axes: list[NDArray[np.float64]],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    epsilon: float,
    method: str,
    tolerance: float,
    max_iterations: int,
    rho_a: float,
    rho_b: float,
    g: NDArray[np.float64] | None,
    range: float,
    monitor: _Monitor,
) -> _SinkhornResult: ...
def grid_apply(
    axes: list[NDArray[np.float64]],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    f: NDArray[np.float64],
    g: NDArray[np.float64],
    epsilon: float,
    x: NDArray[np.float64],
) -> NDArray[np.float64]: ...
def grid_value(
    axes: list[NDArray[np.float64]],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    f: NDArray[np.float64],
    g: NDArray[np.float64],
    epsilon: float,
) -> float: ...

class Kernel32(metaclass=_pybind11_type):
    def __init__(self, cost: Cost32, epsilon: float, monitor: _Monitor) -> None: ...
    def log_sums(self, x: NDArray[np.float64], transpose: bool) -> NDArray[np.float64]: ...
    def project(
        self,
        b: NDArray[np.float64],
        weights: NDArray[np.float64],
        psi: NDArray[np.float64],
        count: int,
    ) -> dict[str, NDArray[np.float64]] | None: ...

class Kernel64(metaclass=_pybind11_type):
    def __init__(self, cost: Cost32 | Cost64, epsilon: float, monitor: _Monitor) -> None: ...
    def log_sums(self, x: NDArray[np.float64], transpose: bool) -> NDArray[np.float64]: ...
    def project(
        self,
        b: NDArray[np.float64],
        weights: NDArray[np.float64],
        psi: NDArray[np.float64],
        count: int,
    ) -> dict[str, NDArray[np.float64]] | None: ...

class GridKernel(metaclass=_pybind11_type):
    def __init__(self, axes: list[NDArray[np.float64]], epsilon: float, monitor: _Monitor) -> None: ...
    def log_sums(self, x: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def project(
        self,
        b: NDArray[np.float64],
        weights: NDArray[np.float64],
        psi: NDArray[np.float64],
        count: int,
    ) -> dict[str, NDArray[np.float64]] | None: ...

def softmin(
    cost: Cost32 | Cost64,
    h: NDArray[np.float64],
    epsilon: float,
    wide: bool,
    transpose: bool,
    monitor: _Monitor,
    guess: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]: ...
def c_transform(cost: Cost32 | Cost64, h: NDArray[np.float64], transpose: bool) -> NDArray[np.float64]: ...
def product_value(cost: Cost32 | Cost64, r: NDArray[np.float64], c: NDArray[np.float64]) -> float: ...
def sum_out(
    tables: Sequence[NDArray[np.float64]], epsilon: float, monitor: _Monitor
) -> NDArray[np.float64]: ...
def has_tour(shape: Sequence[int], item_size: int) -> bool: ...
def tour32(
    tensor: NDArray[np.float32],
    weights: Sequence[NDArray[np.float64]],
    potentials: Sequence[NDArray[np.float64]],
    rho: Sequence[float],
    epsilon: float,
    update: bool,
    rounds: int,
    kept: NDArray[np.float32] | None,
    reference: Sequence[NDArray[np.float64]],
    monitor: _Monitor,
) -> tuple[list[NDArray[np.float64]], float, float, bool] | None: ...
def tour32_wide(
    tensor: NDArray[np.float32],
    weights: Sequence[NDArray[np.float64]],
    potentials: Sequence[NDArray[np.float64]],
    rho: Sequence[float],
    epsilon: float,
    update: bool,
    rounds: int,
    kept: NDArray[np.float64] | None,
    reference: Sequence[NDArray[np.float64]],
    monitor: _Monitor,
) -> tuple[list[NDArray[np.float64]], float, float, bool] | None: ...
def tour64(
    tensor: NDArray[np.float64],
    weights: Sequence[NDArray[np.float64]],
    potentials: Sequence[NDArray[np.float64]],
    rho: Sequence[float],
    epsilon: float,
    update: bool,
    rounds: int,
    kept: NDArray[np.float64] | None,
    reference: Sequence[NDArray[np.float64]],
    monitor: _Monitor,
) -> tuple[list[NDArray[np.float64]], float, float, bool] | None: ...
def line_distance32(
    x: _RealArray, a: NDArray[np.float64], y: _RealArray, b: NDArray[np.float64], p: float
) -> NDArray[np.float64]: ...
def line_distance64(
    x: _RealArray, a: NDArray[np.float64], y: _RealArray, b: NDArray[np.float64], p: float
) -> NDArray[np.float64]: ...
def line_plan(
    x: NDArray[np.float64], a: NDArray[np.float64], y: NDArray[np.float64], b: NDArray[np.float64], p: float
) -> _EmdResult: ...

# An interior point: `barrier_scale` writes to `scaled`, `barrier_step` to `plan` and `slack`.
def barrier_scale(
    plan: NDArray[np.float64], slack: NDArray[np.float64], scaled: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]: ...
def barrier_predict(
    plan: NDArray[np.float64], slack: NDArray[np.float64], f: NDArray[np.float64], g: NDArray[np.float64]
) -> tuple[
    float,
    float,
    float,
    float,
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
]: ...
def barrier_extremes(
    plan: NDArray[np.float64],
    slack: NDArray[np.float64],
    affine_f: NDArray[np.float64],
    affine_g: NDArray[np.float64],
    f: NDArray[np.float64],
    g: NDArray[np.float64],
    target: float,
) -> tuple[float, float]: ...
def barrier_step(
    plan: NDArray[np.float64],
    slack: NDArray[np.float64],
    affine_f: NDArray[np.float64],
    affine_g: NDArray[np.float64],
    f: NDArray[np.float64],
    g: NDArray[np.float64],
    target: float,
    plan_step: float,
    slack_step: float,
) -> None: ...
def first_indefinite(S: NDArray[np.float64], tolerance: float) -> int: ...
def bures_squared(S: NDArray[np.float64], T: NDArray[np.float64]) -> NDArray[np.float64]: ...
def transport_matrix(S: NDArray[np.float64], T: NDArray[np.float64]) -> NDArray[np.float64]: ...
def geodesic_covariance(
    S: NDArray[np.float64], T: NDArray[np.float64], t: NDArray[np.float64]
) -> NDArray[np.float64]: ...
def bures_barycenter(
    S: NDArray[np.float64],
    weights: NDArray[np.float64],
    tolerance: float,
    max_iterations: int,
    monitor: _Monitor,
) -> _BuresBarycenterResult: ...
def bures_pull_back(
    S: NDArray[np.float64],
    weights: NDArray[np.float64],
    covariance: NDArray[np.float64],
    u: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
