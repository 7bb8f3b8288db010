"""The exercises of lesson 10."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(10, "Composition")
