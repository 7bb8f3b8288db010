"""Typical wrong answers of lesson 1: exercise, answer, a piece of the hint."""

from __future__ import annotations

WRONG = []
