"""What is not known of a market: convex sets of means, of covariances and of distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrp_pyomo._lazy import exports

if TYPE_CHECKING:
    from rrp_pyomo.uncertainty.base import UncertaintySet as UncertaintySet
    from rrp_pyomo.uncertainty.covariance_set import CovarianceSet as CovarianceSet
    from rrp_pyomo.uncertainty.covariances.box import CovarianceBox as CovarianceBox
    from rrp_pyomo.uncertainty.covariances.ellipsoids import (
        CovarianceEllipsoid as CovarianceEllipsoid,
    )
    from rrp_pyomo.uncertainty.covariances.ellipsoids import ElementwiseError as ElementwiseError
    from rrp_pyomo.uncertainty.covariances.forms import FactorCovarianceBall as FactorCovarianceBall
    from rrp_pyomo.uncertainty.covariances.forms import FrobeniusBall as FrobeniusBall
    from rrp_pyomo.uncertainty.covariances.forms import SamplingError as SamplingError
    from rrp_pyomo.uncertainty.covariances.loadings import LoadingEllipsoids as LoadingEllipsoids
    from rrp_pyomo.uncertainty.covariances.loadings import RegressionSets as RegressionSets
    from rrp_pyomo.uncertainty.covariances.loadings_ball import LoadingsBall as LoadingsBall
    from rrp_pyomo.uncertainty.covariances.point import CovariancePoint as CovariancePoint
    from rrp_pyomo.uncertainty.covariances.point import as_covariance_set as as_covariance_set
    from rrp_pyomo.uncertainty.distribution_set import DistributionSet as DistributionSet
    from rrp_pyomo.uncertainty.distributions.distribution import Distribution as Distribution
    from rrp_pyomo.uncertainty.distributions.entropy import KullbackLeibler as KullbackLeibler
    from rrp_pyomo.uncertainty.distributions.moments import DelageYe as DelageYe
    from rrp_pyomo.uncertainty.distributions.moments import Moments as Moments
    from rrp_pyomo.uncertainty.distributions.probabilities import (
        ScenarioProbabilities as ScenarioProbabilities,
    )
    from rrp_pyomo.uncertainty.distributions.scenario_sets import Scenarios as Scenarios
    from rrp_pyomo.uncertainty.distributions.scenario_sets import (
        as_distribution_set as as_distribution_set,
    )
    from rrp_pyomo.uncertainty.distributions.wasserstein import Wasserstein as Wasserstein
    from rrp_pyomo.uncertainty.joint_set import JointSet as JointSet
    from rrp_pyomo.uncertainty.mean_set import MeanSet as MeanSet
    from rrp_pyomo.uncertainty.means.algebra import hull as hull
    from rrp_pyomo.uncertainty.means.ellipsoid import Ellipsoid as Ellipsoid
    from rrp_pyomo.uncertainty.means.norms import Ball as Ball
    from rrp_pyomo.uncertainty.means.norms import Box as Box
    from rrp_pyomo.uncertainty.means.point import Point as Point
    from rrp_pyomo.uncertainty.means.point import as_mean_set as as_mean_set
    from rrp_pyomo.uncertainty.means.polytopes import Budgeted as Budgeted
    from rrp_pyomo.uncertainty.means.polytopes import Polyhedron as Polyhedron
    from rrp_pyomo.uncertainty.means.polytopes import Vertices as Vertices
    from rrp_pyomo.uncertainty.worst_case import WorstCase as WorstCase

__all__, __getattr__, __dir__ = exports(
    __name__,
    {
        "base": ("UncertaintySet",),
        "covariance_set": ("CovarianceSet",),
        "distribution_set": ("DistributionSet",),
        "joint_set": ("JointSet",),
        "mean_set": ("MeanSet",),
        "covariances.box": ("CovarianceBox",),
        "covariances.ellipsoids": ("CovarianceEllipsoid", "ElementwiseError"),
        "covariances.forms": ("FactorCovarianceBall", "FrobeniusBall", "SamplingError"),
        "covariances.loadings": ("LoadingEllipsoids", "RegressionSets"),
        "covariances.loadings_ball": ("LoadingsBall",),
        "covariances.point": ("CovariancePoint", "as_covariance_set"),
        "distributions.distribution": ("Distribution",),
        "distributions.entropy": ("KullbackLeibler",),
        "distributions.moments": ("DelageYe", "Moments"),
        "distributions.probabilities": ("ScenarioProbabilities",),
        "distributions.scenario_sets": ("Scenarios", "as_distribution_set"),
        "distributions.wasserstein": ("Wasserstein",),
        "means.algebra": ("hull",),
        "means.ellipsoid": ("Ellipsoid",),
        "means.norms": ("Ball", "Box"),
        "means.point": ("Point", "as_mean_set"),
        "means.polytopes": ("Budgeted", "Polyhedron", "Vertices"),
        "worst_case": ("WorstCase",),
    },
)
