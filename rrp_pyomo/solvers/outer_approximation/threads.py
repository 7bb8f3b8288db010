"""The threads of HiGHS."""

from __future__ import annotations

import highspy


def renew_threads() -> None:
    """Have HiGHS start its threads anew at its next solve.

    It has a pool of them, of the size that its first solve wanted, and ends every solve that wants
    another number with an error.
    """
    highspy.Highs.resetGlobalScheduler(True)
