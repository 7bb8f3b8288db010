"""Typical wrong answers of lesson 10: exercise, answer, a piece of the hint."""

from __future__ import annotations

WRONG = []
