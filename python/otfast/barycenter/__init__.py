"""Barycenters of measures: min over μ of Σ_k λ_k OT(μ, ν_k), in all the ways in which they are computed."""

from otfast.barycenter._result import Barycenter, Measure
from otfast.barycenter.line import quantile
from otfast.gaussian import barycenter as gaussian

__all__ = ["Barycenter", "Measure", "gaussian", "quantile"]
