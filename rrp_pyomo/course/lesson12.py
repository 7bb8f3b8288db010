"""The exercises of lesson 12."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(12, "Several periods and out of sample")
