"""The exercises of lesson 6."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(6, "Uncertainty sets and worst cases")
