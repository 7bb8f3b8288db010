"""Typical wrong answers of lesson 9: exercise, answer, a piece of the hint."""

from __future__ import annotations

WRONG = []
