"""Typical wrong answers of lesson 2: exercise, answer, a piece of the hint."""

from __future__ import annotations

WRONG = []
