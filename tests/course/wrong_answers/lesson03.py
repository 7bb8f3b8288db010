"""Typical wrong answers of lesson 3: exercise, answer, a piece of the hint."""

from __future__ import annotations

WRONG = []
