"""What the box says by a name stands there in the code under test, too: what is renamed would be met by no world."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tasks
import workers
from tests.simulation.actors import releases, staff
from tests.simulation.faults import POINTS
from tests.simulation.scheduler import idle
from tests.simulation.servers.tables import called

_REACHED = re.compile(r"""\breached\("(\w+)"\)""")
_TIMER = re.compile(r"""\bTimer\("([\w-]+)",""")

OUTSIDE = {"readiness", "calls", "clean", "presence", "configuration"}
"""Timers that move no purchase: what a worker shows, hands over, throws away and follows."""


def _in_source(pattern: re.Pattern[str]) -> set[str]:
    files = [file for package in (tasks, workers) for file in Path(package.__path__[0]).rglob("*.py")]
    return {name for file in files for name in pattern.findall(file.read_text())}


def test_every_point_at_which_something_is_in_hand_is_known() -> None:
    assert set(POINTS) == _in_source(_REACHED)


def test_every_timer_is_in_the_box_or_moves_no_purchase() -> None:
    known = {*staff.TIMERS, *staff.FOR_WISHES, "pools", "clock"}
    assert known | OUTSIDE == _in_source(_TIMER)
    assert {*idle._DUE, *releases.TICKS} <= known


def test_what_goes_by_a_function_ends_where_that_is_not() -> None:
    with pytest.raises(LookupError, match="defines no claimed"):
        called(called, "claimed")
