"""Pyomo's tests carry a marker with the name of their solver."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "solver(name): the solver that a test of Pyomo's runs")
