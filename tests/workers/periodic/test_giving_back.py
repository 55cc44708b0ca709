"""The threads that give numbers back: one for each provider, that end when nothing is due, or all are to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import OperationalError

from schemas.releasing import ReleaseOutcome
from schemas.status import Status
from tasks.lifecycle import give_back
from tasks.outages import waits
from tests.tasks.releasing import DONE, Returns, make_returns
from tests.waiting import PATIENCE, eventually
from workers.database.connections import SqlDatabase
from workers.periodic import giving_back
from workers.periodic.giving_back import GivingBack


@pytest.fixture
def returns(database_url: str) -> Iterator[Returns]:
    database = SqlDatabase(database_url)
    yield make_returns(database)
    database.close()


def threads(giving: GivingBack) -> list[threading.Thread]:
    """Those that are alive: `threading.enumerate` leaves one out a moment before it has ended."""
    return [one for one in giving._threads.values() if one.is_alive()]


def test_what_is_due_is_given_back_by_a_thread_that_ends(returns: Returns) -> None:
    rows = [returns.bought(f"+1415555000{n}") for n in range(3)]
    for row in rows:
        returns.ask(row)
    giving = GivingBack()
    assert giving.turn(returns.runtime) is False
    eventually(lambda: set(returns.statuses()) == {Status.RELEASED}, what="all are given back")
    eventually(lambda: threads(giving) == [], what="the thread has ended")
    assert len(returns.provider.given) == 3


def test_a_provider_has_one_thread_and_one_that_stops_begins_nothing(returns: Returns) -> None:
    rows = [returns.bought(f"+1415555000{n}") for n in range(2)]
    for row in rows:
        returns.ask(row)
    begun, go = threading.Event(), threading.Event()

    def slow(_: str) -> object:
        begun.set()
        assert go.wait(PATIENCE)
        return DONE

    returns.provider.answers.append(slow)  # type: ignore[arg-type]
    giving = GivingBack()
    giving.turn(returns.runtime)
    assert begun.wait(PATIENCE)
    giving.turn(returns.runtime)
    assert len(threads(giving)) == 1
    giving.stop()
    go.set()
    eventually(lambda: threads(giving) == [], what="the thread has ended")
    assert sorted(returns.statuses()) == [Status.RELEASED, Status.RELEASING]
    giving.turn(returns.runtime)
    assert threads(giving) == []


def test_of_many_providers_some_at_a_time_have_a_thread_and_make_room_for_the_others(
    returns: Returns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_back, "THREADS", 1)
    monkeypatch.setattr(giving_back, "SHARE", 0.0)
    for alias in ("acme", "twin"):
        for n in range(2):
            returns.ask(returns.bought(f"+1415555{alias == 'acme':d}00{n}", provider=alias))
    begun, go = threading.Event(), threading.Event()

    def slow(number: str) -> ReleaseOutcome:
        begun.set()
        assert go.wait(PATIENCE)
        return returns.provider.take_back(number)

    returns.provider.answers.append(slow)
    giving = GivingBack()
    giving.turn(returns.runtime)
    assert begun.wait(PATIENCE)
    giving.turn(returns.runtime)
    assert len(threads(giving)) == 1
    go.set()
    eventually(lambda: threads(giving) == [], what="it makes room")
    assert sorted(returns.statuses()) == [Status.RELEASED, *[Status.RELEASING] * 3]

    def all_are_given_back() -> bool:
        giving.turn(returns.runtime)
        return set(returns.statuses()) == {Status.RELEASED}

    eventually(all_are_given_back, what="each has its turn")
    eventually(lambda: threads(giving) == [], what="the thread has ended")


def test_what_nobody_foresaw_ends_no_timer(returns: Returns, caplog: pytest.LogCaptureFixture) -> None:
    row = returns.bought()
    returns.ask(row)

    def broken(_: str) -> object:
        raise KeyError("a fault")

    returns.provider.answers.append(broken)  # type: ignore[arg-type]
    GivingBack().turn(returns.runtime)
    eventually(lambda: "a release at acme failed" in caplog.text, what="it is told")
    assert returns.settle(row)["status"] == Status.RELEASED


def test_what_the_database_refuses_is_told_of_once(
    returns: Returns, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    row = returns.bought()
    returns.ask(row)
    monkeypatch.setattr(waits, "QUIET", 0.0)
    giving, step = GivingBack(), give_back.step

    def refused(*_: object) -> bool:
        raise OperationalError("", {}, Exception("gone"))

    for one in (refused, refused, step):
        monkeypatch.setattr(give_back, "step", one)
        giving.turn(returns.runtime)
        eventually(lambda: threads(giving) == [], what="the thread has ended")
    told = [line for line in caplog.messages if line.startswith("giving back at acme")]
    assert [line.partition(":")[0] for line in told] == ["giving back at acme waits", "giving back at acme works again"]
