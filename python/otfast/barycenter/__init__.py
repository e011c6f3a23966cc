"""Barycenters of measures: min over μ of Σ_k λ_k OT(μ, ν_k), in all the ways in which they are computed."""

from otfast.barycenter._result import Barycenter, CertifiedBarycenter, Measure
from otfast.barycenter.convolutional import convolutional
from otfast.barycenter.coordinates import Coordinates, coordinates
from otfast.barycenter.fixed_support import fixed_support
from otfast.barycenter.line import quantile
from otfast.barycenter.propagation import Propagation, propagate
from otfast.barycenter.unrolled import UnrolledBarycenter, barycenter_unrolled
from otfast.gaussian import barycenter as gaussian

__all__ = [
    "Barycenter",
    "CertifiedBarycenter",
    "Coordinates",
    "Measure",
    "Propagation",
    "UnrolledBarycenter",
    "barycenter_unrolled",
    "convolutional",
    "coordinates",
    "fixed_support",
    "gaussian",
    "propagate",
    "quantile",
]
