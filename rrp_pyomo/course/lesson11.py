"""The exercises of lesson 11."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(11, "Solvers")
