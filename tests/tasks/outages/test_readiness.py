"""Whether a process can do what messages ask for."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from tasks.outages.readiness import SILENT, Readiness

GONE = OperationalError("SELECT 1", {}, ConnectionError("server closed the connection"))


def fail(readiness: Readiness) -> None:
    with pytest.raises(OperationalError), readiness.asking():
        raise GONE


def test_one_whose_database_refuses_is_not_ready_until_that_answers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    readiness = Readiness()
    assert readiness.ready
    for _ in range(2):
        fail(readiness)
        assert not readiness.ready
    for _ in range(2):
        with readiness.asking():
            assert not readiness.ready or caplog.records[1:]
        assert readiness.ready
    assert len(caplog.records) == 2


def test_one_whose_database_says_nothing_is_not_ready_until_it_does() -> None:
    seconds = 0.0
    readiness = Readiness(lambda: seconds)
    with readiness.asking():
        seconds += SILENT / 2
        assert readiness.ready
        seconds += SILENT
        assert not readiness.ready
    assert readiness.ready


def test_what_no_one_asks_any_more_is_ready() -> None:
    readiness = Readiness()
    fail(readiness)
    readiness.forget()
    assert readiness.ready
