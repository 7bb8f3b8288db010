"""The exercises of lesson 7."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(7, "The paper")
