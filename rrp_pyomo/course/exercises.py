"""What an exercise is, where those of each lesson are, and how an answer is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from inspect import cleandoc
from typing import Any

from rrp_pyomo.errors import InputError, UnknownLabelError, brief

LESSONS = range(1, 13)
Data = Mapping[str, Any]


class WrongAnswer(Exception):  # noqa: N818  (raised by judges, seen by nobody else)
    """What is wrong with an answer and where to look, as the reader is told."""


@dataclass(frozen=True)
class Verdict:
    """What :func:`check` says of an answer; true where it is right.

    Parameters
    ----------
    number : str
        The exercise, such as ``"3.2"``.
    right : bool
    message : str
        For a right answer the figures that show it, for a wrong one what is wrong.

    Examples
    --------
    >>> from rrp_pyomo.course import check
    >>> verdict = check("1.1", None)
    >>> bool(verdict), verdict.number
    (False, '1.1')
    """

    number: str
    right: bool
    message: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"{self.number} {'right' if self.right else 'not yet'}: {self.message}"


@dataclass(frozen=True)
class Exercise:
    """One exercise of the course; ``exercise("3.2")`` gives it.

    Parameters
    ----------
    number : str
        Lesson and place in it.
    title : str
    statement : str
        What is asked, in Markdown, and what the answer should be: a number, weights by asset, …
    modelling : bool
        Whether the answer is a model, which is solved to be judged.

    Examples
    --------
    >>> from rrp_pyomo.course import exercise
    >>> first = exercise("1.1")
    >>> first.number, first.modelling
    ('1.1', False)
    """

    number: str
    title: str
    statement: str
    modelling: bool
    _given: Callable[[], Data] = field(repr=False)
    _judge: Callable[[Any, Data], str] = field(repr=False)

    @cached_property
    def _data(self) -> Data:
        """What the judge looks at, which nobody else can change."""
        return self._given()

    @property
    def data(self) -> Data:
        """What is given, by name; the same each time."""
        return {name: _copied(value) for name, value in self._data.items()}

    def __getitem__(self, name: str) -> Any:
        """One of the data, by its name."""
        if name not in self._data:
            raise UnknownLabelError(f"name in the data of exercise {self.number}", name, self._data)
        return _copied(self._data[name])

    def check(self, answer: Any) -> Verdict:
        """Judge an answer; see :func:`check`."""
        try:
            return Verdict(self.number, True, self._judge(answer, self._data))
        except WrongAnswer as wrong:
            return Verdict(self.number, False, str(wrong))

    def __repr__(self) -> str:
        return f"Exercise {self.number}: {self.title}\n\n{self.statement}{self._names_of_data()}"

    def _repr_markdown_(self) -> str:
        return (
            f"**Exercise {self.number}: {self.title}**\n\n{self.statement}{self._names_of_data()}"
        )

    def _names_of_data(self) -> str:
        """What is given, by name, with kind and shape."""
        if not self.data:
            return ""
        return (
            f"\n\nGiven: {', '.join(f'`{name}` ({_kind(it)})' for name, it in self.data.items())}"
        )


class Lesson:
    """The exercises of one lesson, in order; each judge is a function under its statement."""

    def __init__(self, number: int, title: str) -> None:
        self.number, self.title = number, title
        self.exercises: dict[str, Exercise] = {}

    def exercise(
        self,
        title: str,
        statement: str,
        given: Callable[[], Data] = dict,
        *,
        modelling: bool = False,
    ) -> Callable[[Callable[[Any, Data], str]], Exercise]:
        """Add an exercise whose judge is the decorated ``judge(answer, data) -> str``.

        The judge returns what shows that the answer is right and raises :class:`WrongAnswer` with
        what is wrong.
        """

        def add(judge: Callable[[Any, Data], str]) -> Exercise:
            number = f"{self.number}.{len(self.exercises) + 1}"
            new = Exercise(number, title, cleandoc(statement), modelling, given, judge)
            self.exercises[number] = new
            return new

        return add


def exercise(number: str) -> Exercise:
    """An exercise of the course: its statement and its data.

    Parameters
    ----------
    number : str
        Lesson and place in it, such as ``"3.2"``.

    Raises
    ------
    InputError
        For anything but a string, since 3.10 is 3.1.
    UnknownLabelError
        For an exercise that the course does not have.

    Examples
    --------
    >>> from rrp_pyomo.course import exercise
    >>> exercise("1.1").number
    '1.1'
    """
    if not isinstance(number, str):
        raise InputError(
            f"an exercise is named by a string such as '3.2'; given: {brief(number)}; "
            "remedy: write it between quotation marks"
        )
    lesson = number.partition(".")[0]
    if lesson.isdecimal() and int(lesson) in LESSONS:
        found = _lesson(int(lesson)).exercises
        if number in found:
            return found[number]
    raise UnknownLabelError("exercise", number, exercises())


def exercises() -> list[str]:
    """The numbers of all exercises, in the order of the course.

    Examples
    --------
    >>> from rrp_pyomo.course import exercises
    >>> exercises()[:2]
    ['1.1', '1.2']
    """
    return [number for lesson in LESSONS for number in _lesson(lesson).exercises]


def check(number: str, answer: Any) -> Verdict:
    """Judge an answer to an exercise, by a certificate that is computed from the exercise's data.

    Parameters
    ----------
    number : str
        Lesson and place in it, such as ``"3.2"``.
    answer : object
        What the statement asks for: a number, weights by asset (Series, mapping, array in the order
        of the data, or Portfolio), a Program or a Pyomo model, …

    Returns
    -------
    Verdict
        True where the answer is right; its message has the figures that show it, or says what is
        wrong and where to look.

    Raises
    ------
    InputError, UnknownLabelError
        As :func:`exercise`. A wrong answer is never an error, whatever it is.

    Examples
    --------
    >>> from rrp_pyomo.course import check
    >>> check("1.1", "no idea").right
    False
    """
    return exercise(number).check(answer)


def _lesson(number: int) -> Lesson:
    lesson: Lesson = import_module(f"rrp_pyomo.course.lesson{number:02d}").LESSON
    return lesson


def _copied(given: Any) -> Any:
    """Tables and arrays may be changed by those who ask for them."""
    return given.copy() if hasattr(given, "copy") else given


def _kind(given: Any) -> str:
    """What something is: a number itself, otherwise its class, with its shape where it has one."""
    if isinstance(given, int | float | str):
        return f"{given:g}" if isinstance(given, float) else str(given)
    shape = " × ".join(map(str, getattr(given, "shape", ())))
    return f"{type(given).__name__}, {shape}" if shape else type(given).__name__
