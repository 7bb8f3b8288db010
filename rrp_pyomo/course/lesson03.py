"""The exercises of lesson 3."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(3, "From (3) and (4) to (11)")
