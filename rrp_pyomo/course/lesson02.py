"""The exercises of lesson 2."""

from __future__ import annotations

from rrp_pyomo.course.exercises import Lesson

LESSON = Lesson(2, "Risk contributions and why parity")
