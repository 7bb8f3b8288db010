"""What solvers share with the process: the standard output and the keyboard interrupt."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.solvers.process import interruptible, printing_to

NAMES = ["clarabel", "scs", "casadi_ipopt"]


def model(n: int = 30) -> Any:
    """A quadratic program that takes a few milliseconds."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(n), bounds=(0, 1), initialize=0.1)
    m.total = pyo.Constraint(expr=sum(m.x.values()) == 1)
    m.cost = pyo.Objective(expr=sum((k + 1) * m.x[k] ** 2 for k in range(n)))
    return m


@contextmanager
def chatting(lines: list[str]) -> Iterator[None]:
    """Another thread that prints, and keeps in ``lines`` what it has printed."""
    stopped = threading.Event()

    def chat() -> None:
        while not stopped.is_set():
            lines.append(f"line {len(lines)} of the other thread")
            print(lines[-1])
            time.sleep(1e-4)

    thread = threading.Thread(target=chat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@pytest.mark.parametrize("tee", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_other_threads_keep_what_they_print(name: str, tee: bool) -> None:
    """All of it and in order, and none of it is in the solver's log."""
    output, lines, logs, stream = io.StringIO(), [], [], io.StringIO()
    stated = model()
    with redirect_stdout(output), chatting(lines):
        for _ in range(20):
            results = SolverFactory(name).solve(stated, tee=stream if tee else False)
            logs.append(results.solver_log)
    printed = output.getvalue().splitlines()
    assert len(lines) > 20
    assert printed == lines
    assert not any("other thread" in log for log in logs)
    assert stream.getvalue() == ("".join(logs) if tee else "")
    assert all(logs) == (tee or name == "casadi_ipopt")


_PRINTING = """
import io, sys, threading, time
from contextlib import redirect_stdout
from rrp_pyomo.solvers.process import printing_to

def chat():
    while not stopped.is_set():
        print("another thread")

stopped, end = threading.Event(), time.monotonic() + 1.5
sys.setswitchinterval(1e-6)
with redirect_stdout(io.StringIO()):
    thread = threading.Thread(target=chat)
    thread.start()
    while time.monotonic() < end:
        with printing_to(io.StringIO()):
            pass
    stopped.set()
    thread.join()
"""


def test_the_standard_output_outlives_those_who_print_to_it() -> None:
    """Up to Python 3.13 a print() crashes the process where what it prints to is thrown away."""
    assert subprocess.run([sys.executable, "-c", _PRINTING], timeout=60).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_log_is_the_same_with_and_without_an_audience(name: str) -> None:
    """Ipopt's is kept in any case; that of the conic solvers where somebody looks on."""
    logs = [
        SolverFactory(name).solve(model(), tee=tee).solver_log for tee in (False, io.StringIO())
    ]
    if name == "casadi_ipopt":
        assert "EXIT: Optimal Solution Found." in logs[0]
        assert "EXIT: Optimal Solution Found." in logs[1]
    else:
        assert logs[0] == ""


def _without_times(log: str) -> list[str]:
    return [line for line in log.split("\n") if "seconds" not in line and line.strip()]


@pytest.mark.parametrize("name", NAMES)
def test_without_an_audience_the_standard_output_is_left_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not replaced, and nothing written to it."""

    class Sealed(io.StringIO):
        def write(self, text: str) -> int:
            raise AssertionError(f"{name} wrote {text!r}")

    sealed = Sealed()
    monkeypatch.setattr(sys, "stdout", sealed)
    SolverFactory(name).solve(model())
    assert sys.stdout is sealed


def test_threads_have_logs_of_their_own() -> None:
    """Also where one thread starts while another is logging, with ``tee`` to the output."""
    output, inside, done = io.StringIO(), threading.Event(), threading.Event()
    first, second = io.StringIO(), io.StringIO()

    class Tee(io.StringIO):
        def __init__(self, stream: Any) -> None:
            super().__init__()
            self.stream = stream

        def write(self, text: str) -> int:
            self.stream.write(text)
            return super().write(text)

    def other() -> None:
        inside.wait()
        log = Tee(sys.stdout)
        with printing_to(log):
            print("second")
        second.write(log.getvalue())
        done.set()

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    with redirect_stdout(output):
        with printing_to(first):
            inside.set()
            assert done.wait(10)
            print("first")
            with printing_to(second):
                print("nested")
            print("first again")
        assert sys.stdout is output
    thread.join()
    assert first.getvalue() == "first\nfirst again\n"
    assert second.getvalue() == "second\nnested\n"
    assert output.getvalue() == "second\n"


@pytest.mark.parametrize("fails", [False, True])
def test_the_standard_output_is_put_back(fails: bool) -> None:
    before = sys.stdout
    error = ValueError if fails else ()
    try:
        with printing_to(io.StringIO()):
            assert sys.stdout.encoding == before.encoding
            if fails:
                raise ValueError
    except error:
        pass
    assert sys.stdout is before


# --- the keyboard interrupt ---------------------------------------------------------------------


@contextmanager
def handled_by(handler: Any) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_a_solver_swallows_is_raised_at_the_end() -> None:
    said: list[bool] = []

    def solve() -> None:
        with interruptible() as interrupted:
            assert interrupted is not None
            said.append(interrupted())
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            said.append(interrupted())

    with handled_by(signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        solve()
    assert said == [False, True]


def test_whoever_handles_interrupts_is_asked() -> None:
    """A handler that raises nothing wants nothing to be stopped."""
    seen: list[int] = []
    with handled_by(lambda number, frame: seen.append(number)), interruptible() as interrupted:
        signal.raise_signal(signal.SIGINT)
        assert interrupted is not None
        assert not interrupted()
    assert seen == [signal.SIGINT]


def test_ignored_interrupts_stay_ignored() -> None:
    with handled_by(signal.SIG_IGN), interruptible() as interrupted:
        signal.raise_signal(signal.SIGINT)
        assert interrupted is None


def test_the_handler_is_put_back_after_an_error() -> None:
    with (
        handled_by(signal.default_int_handler),
        pytest.raises(ValueError, match="of the solver"),
        interruptible(),
    ):
        raise ValueError("of the solver")


def test_other_threads_leave_the_handler_alone() -> None:
    seen: list[Any] = []

    def solve() -> None:
        before = signal.getsignal(signal.SIGINT)
        with interruptible() as interrupted:
            seen.extend([interrupted, signal.getsignal(signal.SIGINT) is before])

    thread = threading.Thread(target=solve)
    thread.start()
    thread.join()
    assert seen == [None, True]
