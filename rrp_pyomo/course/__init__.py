"""The exercises of the course, and a judge who looks at certificates.

>>> from rrp_pyomo.course import check, exercise
>>> exercise("2.1")  # doctest: +SKIP
>>> check("2.1", answer)  # doctest: +SKIP

An answer is judged by what it is, computed from the exercise's data, never by comparing it with a
stored one: any right answer is right.
"""

from rrp_pyomo.course.exercises import Exercise, Verdict, check, exercise, exercises

__all__ = ["Exercise", "Verdict", "check", "exercise", "exercises"]
