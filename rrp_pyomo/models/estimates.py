"""What is known of a market when a problem is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from rrp_pyomo.data import Covariance, CovarianceUncertainty, FactorModel


class Estimates(Protocol):
    """What is known of a market when a problem is made."""

    @property
    def covariance(self) -> Covariance:
        """Σ⁰."""

    @property
    def uncertainty(self) -> CovarianceUncertainty:
        """The set around Σ⁰."""

    @property
    def returns(self) -> pd.DataFrame:
        """The excess returns they come from, periods × assets."""

    @property
    def model(self) -> FactorModel | None:
        """The factor model, where there is one."""
