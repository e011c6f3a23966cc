"""What the solvers of multi-marginal transport return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from otfast._validation import FloatArray
from otfast.multimarginal._memory import check_memory
from otfast.result import to_scalar

if TYPE_CHECKING:
    from scipy.sparse import coo_array

__all__ = ["MultiTransport"]


class MultiCoupling(Protocol):
    """A plan between K measures, however it is represented."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of P, (n_0, …, n_{K−1})."""
        ...

    @property
    def linear_value(self) -> float:
        """⟨P, C⟩, in double precision."""
        ...

    def dense(self) -> FloatArray:
        """Return P as an array."""
        ...

    def marginal(self, nodes: tuple[int, ...]) -> FloatArray:
        """Return the sums over all points but those of the nodes, one or two in rising order."""
        ...


@dataclass(frozen=True, eq=False)
class SparseMultiCoupling:
    """A plan that is a list of atoms: `mass[t]` lies on the tuple `indices[t]`."""

    shape: tuple[int, ...]
    indices: NDArray[np.int64]
    """The tuples, `(N, K)`."""
    mass: FloatArray
    linear_value: float

    def dense(self) -> FloatArray:
        """Return P as an array."""
        check_memory("the plan", self.shape, self.mass.dtype.itemsize)
        plan = np.zeros(self.shape, self.mass.dtype)
        plan[tuple(self.indices.T)] = self.mass
        return plan

    def sparse(self) -> coo_array:
        """Return P as a sparse array that shares no memory with this object."""
        return sparse.coo_array((self.mass.copy(), tuple(self.indices.T.copy())), shape=self.shape)

    def marginal(self, nodes: tuple[int, ...]) -> FloatArray:
        """Return the sums over all points but those of the nodes, in rising order."""
        sums = np.zeros([self.shape[k] for k in nodes])
        np.add.at(sums, tuple(self.indices[:, k] for k in nodes), self.mass)
        return sums.astype(self.mass.dtype, copy=False)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class MultiTransport:
    """The solution of a transport problem with K marginals.

    Attributes
    ----------
    value : float
        The optimal value of the problem that was solved, regularisation included.
    potentials : tuple of ndarray, shapes (n_k,)
        Dual potentials f_k. Exact: ⊕f_k ≤ C for all tuples, up to `error`. Entropic: P = ⊗a_k exp((⊕f_k −
        C)/ε).
    converged : bool
        Whether the solver reached its tolerance.
    n_iter : int
        The number of iterations it took; entropic: in each of them every potential is updated.
    error : float
        Exact: the relative duality gap. Entropic: the largest L1 violation of a marginal, relative to the
        mass (unbalanced: the largest change of a potential that an update would make, in units of ε).
    marginals : tuple of ndarray, shapes (n_k,)
        The weights a_k of the problem, balanced.
    coupling : MultiCoupling
        How the plan is stored.

    Notes
    -----
    Results have the precision of the cost, and can be pickled and copied. What is not an attribute is made
    anew at each access, so keep what is used twice.
    """

    value: float
    potentials: tuple[FloatArray, ...]
    converged: bool
    n_iter: int
    error: float
    marginals: tuple[NDArray[np.float64], ...]
    coupling: MultiCoupling

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the plan, (n_0, …, n_{K−1})."""
        return self.coupling.shape

    @property
    def value_linear(self) -> float:
        """⟨P, C⟩. Entropic: computed by one more contraction."""
        return to_scalar(self.coupling.linear_value, self.potentials[0].dtype)

    def marginal(self, k: int) -> FloatArray:
        """Return the marginal of the plan on the points of node k, without forming the plan.

        Parameters
        ----------
        k : int
            The node, from 0 to K − 1.

        Returns
        -------
        ndarray, shape (n_k,)
        """
        return self.coupling.marginal((self._check_node("k", k),))

    def pair_marginal(self, k: int, l: int) -> FloatArray:  # noqa: E741 - the name of the public contract
        """Return the marginal of the plan on the points of two nodes, without forming the plan.

        Parameters
        ----------
        k, l : int
            Two different nodes.

        Returns
        -------
        ndarray, shape (n_k, n_l)

        Notes
        -----
        On a graph it takes the time of a contraction: a product of matrices for each node between k and l of
        a tree. For other costs, a pass over all tuples.
        """
        first, second = self._check_node("k", k), self._check_node("l", l)
        if first == second:
            raise ValueError(f"k and l must be different nodes, but both are {k}")
        pair = self.coupling.marginal((min(first, second), max(first, second)))
        return pair if first < second else np.ascontiguousarray(pair.T)

    @property
    def plan(self) -> FloatArray:
        """The plan as a new dense array; raises `ValueError` if it does not fit into memory."""
        return self.coupling.dense()

    @property
    def sparse_plan(self) -> coo_array:
        """The plan as a new sparse array with K axes; exact: at most Σ n_k − K + 1 entries.

        Entropic: the entries of `plan` that are not zero in floating point.
        """
        if isinstance(self.coupling, SparseMultiCoupling):
            return self.coupling.sparse()
        plan = self.plan
        coords = np.nonzero(plan)
        return sparse.coo_array((plan[coords], coords), shape=plan.shape)

    def _check_node(self, name: str, node: Any) -> int:
        K = len(self.shape)
        if not isinstance(node, int | np.integer) or not 0 <= node < K:
            raise ValueError(f"{name} must be a node, an integer from 0 to {K - 1}, not {node!r}")
        return int(node)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        shape = " x ".join(str(size) for size in self.shape)
        return (
            f"MultiTransport({shape}, value={self.value:.6g}, {state} after {self.n_iter} iterations, "
            f"error={self.error:.2e})"
        )
