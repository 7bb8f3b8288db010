"""The exercises of lesson 1."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(1, "Returns, factors and their errors")
