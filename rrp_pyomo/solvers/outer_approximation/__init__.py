"""Outer approximation: mixed-integer cones by HiGHS above Clarabel."""
