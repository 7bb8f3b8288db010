"""Robust risk parity portfolios as declarative Pyomo blocks."""
