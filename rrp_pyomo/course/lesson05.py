"""The exercises of lesson 5."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(5, "Second-order cones and duals")
