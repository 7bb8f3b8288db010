"""What sets from data share: observed returns, levels, and half-widths of confidence."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from rrp_pyomo._extras import require_extra
from rrp_pyomo.data.validation import (
    Matrix,
    agreed_labels,
    as_floats,
    as_number,
    index_of,
    labels_of,
    require_finite,
)
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray

Method = Literal["normal", "bootstrap"]


def observed(returns: Matrix) -> tuple[pd.Series, FloatArray]:
    """The mean of returns by asset, and the returns.

    Raises
    ------
    InputError
        Fewer than two periods, entries that are not finite.
    """
    values = as_floats(returns, "returns", 2)
    periods, n = values.shape
    labels = agreed_labels("asset", n, returns=labels_of(returns, 1))
    dates = labels_of(returns)
    require_finite(values, "return", range(periods) if dates is None else dates, labels)
    if periods < 2:
        raise InputError(f"returns have {periods} period(s); give at least 2")
    return pd.Series(values.mean(axis=0), index_of(labels), name="mean"), values


def tail_level(level: Any) -> float:
    """A confidence level: at least 0 and less than 1."""
    number = as_number(level, "level", least=0.0, most=1.0)
    if number == 1.0:
        raise InputError(f"level is {number:g}; expected less than 1, such as 0.95")
    return number


def normal_half_widths(values: FloatArray, level: float, joint: bool) -> FloatArray:
    """t_{T−1} · s_i/√T, of the level 1 − (1 − level)/n an asset where all hold together."""
    periods, n = values.shape
    tail = (1.0 - level) / (n if joint else 1)
    quantile = stats.t.ppf(1.0 - tail / 2.0, periods - 1)
    widths: FloatArray = quantile * values.std(axis=0, ddof=1) / np.sqrt(periods)
    return widths


def bootstrap_half_widths(
    values: FloatArray, level: float, joint: bool, draws: int, block: int | None, seed: Any
) -> FloatArray:
    """Quantiles of the errors of resampled means, in standard errors where all hold together."""
    require_extra("arch", "a bootstrap of means")
    from arch.bootstrap import IIDBootstrap, StationaryBootstrap

    sampler = (
        IIDBootstrap(values, seed=seed)
        if block is None
        else StationaryBootstrap(block, values, seed=seed)
    )
    errors = sampler.apply(lambda x: x.mean(axis=0), draws) - values.mean(axis=0)
    if not joint:
        own: FloatArray = np.quantile(np.abs(errors), level, axis=0)
        return own
    spread = errors.std(axis=0)
    moving = spread > 0.0
    largest = np.abs(errors[:, moving] / spread[moving]).max(axis=1, initial=0.0)
    widths: FloatArray = float(np.quantile(largest, level)) * spread
    return widths
