"""The exercises of lesson 4."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(4, "Traps of nonconvexity and certificates")
