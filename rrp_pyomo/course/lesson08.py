"""The exercises of lesson 8."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(8, "Robust mean–variance and a textbook's exercises")
