"""Every solution of the course is judged right, and typical wrong answers get a hint.

The wrong answers of each lesson are in ``wrong_answers/``: exercise, what makes the answer from the
exercise, and a piece of what its reader is told.
"""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import matplotlib
import pytest
from notebooks import notebook

import rrp_pyomo.course
from rrp_pyomo.course import check, exercise, exercises
from rrp_pyomo.course.exercises import LESSONS
from rrp_pyomo.errors import InputError, UnknownLabelError

COURSE = Path(__file__).parents[2] / "docs" / "course"
PAGES = sorted(COURSE.glob("[0-9]*.md"))
WRONG = [
    case for lesson in LESSONS for case in import_module(f"wrong_answers.lesson{lesson:02d}").WRONG
]
EACH = pytest.mark.parametrize("number", exercises())


def page_of(number: str) -> Path:
    return next(page for page in PAGES if int(page.name[:2]) == int(number.partition(".")[0]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_solutions_of_a_lesson_are_right(page, tmp_path, monkeypatch):
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    verdicts = []

    def recorded(number, answer):
        verdicts.append(check(number, answer))
        return verdicts[-1]

    monkeypatch.setattr(rrp_pyomo.course, "check", recorded)
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in notebook(page.read_text(encoding="utf-8")).cells:
        if cell.cell_type == "code" and not cell.source.startswith("%%"):
            exec(compile("\n" * cell.metadata.line + cell.source, str(page), "exec"), names)
    lesson = str(int(page.name[:2]))
    assert {v.number for v in verdicts if v} == {
        number for number in exercises() if number.partition(".")[0] == lesson
    }


@EACH
def test_the_page_has_the_statement(number):
    text, given = page_of(number).read_text(encoding="utf-8"), exercise(number)
    assert f"### Exercise {number}: {given.title}\n" in text
    assert " ".join(given.statement.split()) in " ".join(text.split())


@pytest.mark.parametrize(("number", "answer", "hint"), WRONG, ids=[f"{w[0]} {w[2]}" for w in WRONG])
def test_wrong_answers_get_a_hint(number, answer, hint):
    verdict = check(number, answer(exercise(number)))
    assert not verdict
    assert hint in verdict.message


def test_a_pair_comes_by_name_too():
    mean = exercise("5.3")["mean"]
    nu = mean.nlargest(4).iloc[-1]
    assert check("5.3", {"ν": nu, "η": (mean - nu).clip(lower=0)})


@EACH
def test_two_wrong_answers_are_tried(number):
    assert Counter(case[0] for case in WRONG)[number] >= 2


@EACH
@pytest.mark.parametrize(
    "answer",
    [
        None,
        "parity",
        [],
        {"a": "b"},
        {"a": [1, 2]},
        (0.1, [0.2, 0.3]),
        10**400,
        float("nan"),
        object(),
    ],
)
def test_whatever_is_handed_in_is_no_error(number, answer):
    verdict = check(number, answer)
    assert not verdict
    assert len(verdict.message) > 10
    assert re.search(r"not yet", repr(verdict))


def test_the_course_has_what_it_promises():
    by_lesson = Counter(number.partition(".")[0] for number in exercises())
    assert set(by_lesson.values()) <= {3, 4, 5}
    assert len(exercises()) >= 40
    assert sum(exercise(number).modelling for number in exercises()) >= 6


def test_readers_cannot_change_what_the_judge_looks_at():
    given = exercise("1.1")
    right = given["returns"].mean(axis=1).std() * 12**0.5
    for mine in (given["returns"], given.data["returns"]):
        mine *= 100
    assert check("1.1", right)
    assert not check("1.1", 100 * right)


def test_an_exercise_says_what_is_given():
    shown = repr(exercise("1.1"))
    assert shown.startswith("Exercise 1.1: The volatility of a year\n\n`returns` has")
    assert shown.endswith("Given: `returns` (DataFrame, 60 × 6), `factors` (DataFrame, 60 × 3)")
    assert exercise("1.1")._repr_markdown_().startswith("**Exercise 1.1: ")


def test_an_exercise_is_named_by_a_string():
    with pytest.raises(InputError, match="string such as"):
        exercise(3.1)  # type: ignore[arg-type]
    with pytest.raises(UnknownLabelError, match="unknown exercise"):
        exercise("13.1")
