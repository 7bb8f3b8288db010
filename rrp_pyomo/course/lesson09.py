"""The exercises of lesson 9."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(9, "Distributions")
