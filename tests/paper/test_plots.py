"""The paper's figures, of paths that are made up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo.paper.experiments import WealthPaths
from rrp_pyomo.paper.plots import plot_sizes_relative, plot_sizes_wealth


@pytest.mark.parametrize("plot", [plot_sizes_wealth, plot_sizes_relative])
@pytest.mark.parametrize("count", [1, 6, 12])
def test_the_common_legend_is_not_wider_than_its_figure(plot, count):
    omegas = np.arange(1, count + 1) / 4
    portfolios = [("nominal", np.nan), ("worst_case", np.nan), *(("robust", w) for w in omegas)]
    dates = pd.date_range("2000-01-31", periods=3, freq="ME")
    paths = np.ones((3, len(portfolios)))
    sizes = [WealthPaths(n, 2, portfolios, dates, paths, paths, 0.0 * paths) for n in (5, 10)]
    figure = plot(sizes)
    figure.canvas.draw()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1
