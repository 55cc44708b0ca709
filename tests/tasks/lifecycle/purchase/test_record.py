"""An answer in hand is written, whatever the database says against it and however long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DataError, ProgrammingError, SQLAlchemyError

from schemas.outcomes import Outcome, OutcomeKind
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.calls import intents, outcomes
from tasks.lifecycle import purchase, record
from tasks.outages import database_away
from tests.tasks.scripted_provider import REFUSED
from tests.tasks.support import NUMBER, Killed, World, make_world, number
from tests.waiting import time_with
from workers.database.connections import SqlDatabase, migrate

YES = Outcome(kind=OutcomeKind.PURCHASED, http_status=200, provider_number_id="their-id", detail="a secret of theirs")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_away, "PAUSE", 0.0)


def failing(monkeypatch: pytest.MonkeyPatch, errors: Sequence[BaseException]) -> list[BaseException]:
    """Have the writing of answers fail with each of *errors* first; returns what is left of them."""
    left, record_all = list(errors), outcomes.record_all

    def fails(*arguments: Any) -> Any:
        if left:
            raise left.pop(0)
        return record_all(*arguments)

    monkeypatch.setattr(outcomes, "record_all", fails)
    return left


def error(kind: type[SQLAlchemyError]) -> SQLAlchemyError:
    return kind("UPDATE", {}, Exception("no such column"))  # type: ignore[call-arg, arg-type]


def test_no_error_of_the_database_drops_a_yes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    left = failing(monkeypatch, [error(ProgrammingError)] * 20)
    world.provider.script.append(YES)
    row = world.accept()
    world.work()
    assert (left, world.row(row["id"])["status"]) == ([], Status.PURCHASED)


def test_each_try_has_a_fresh_connection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed: list[int] = []
    monkeypatch.setattr(SqlDatabase, "renew", lambda _: renewed.append(1))
    failing(monkeypatch, [error(ProgrammingError)] * 3)
    world.accept()
    world.work()
    assert len(renewed) == 3


def test_what_is_in_hand_is_told_more_and_more_seldom(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    moments = iter(range(10_000))
    monkeypatch.setattr(database_away, "time", time_with(monotonic=lambda: float(next(moments))))
    left = [error(ProgrammingError)] * 1000

    def write() -> str:
        if left:
            raise left.pop()
        return "written"

    holds = record.told(world.claimed(), YES)
    assert database_away.until_written(world.runtime.database, write, holds) == "written"
    told = [one.getMessage() for one in caplog.records]
    assert 8 <= len(told) <= 15
    assert all(NUMBER in one and "purchased" in one and "their-id" in one for one in told)
    assert "secret" not in caplog.text


def test_words_that_have_no_place_are_left_out_and_the_yes_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    left = failing(monkeypatch, [error(DataError)])
    world.provider.script.append(Outcome(kind=OutcomeKind.PURCHASED, provider_number_id="id-\u00e9", detail="\u2026"))
    row = world.accept()
    world.work()
    after = world.row(row["id"])
    assert (left, after["status"], after["provider_number_id"]) == ([], Status.PURCHASED, "id-?")


def test_a_database_of_another_encoding_takes_a_refusal(
    postgres_server: Any, make_here: Callable[[str], World]
) -> None:
    postgres_server._execute("CREATE DATABASE narrow TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        world = make_here(postgres_server.url_of("narrow"))
        for outcome in (Outcome(kind=OutcomeKind.REFUSED, error="\u043d\u0435\u0442", error_code="no"), YES):
            world.provider.script.append(outcome)
        first, second = world.accept(), world.accept(number(1))
        world.work()
        assert world.row(first["id"])["status"] == Status.FAILED
        assert world.row(second["id"])["status"] == Status.PURCHASED
        world.runtime.database.close()  # type: ignore[attr-defined]
    finally:
        postgres_server._execute("DROP DATABASE narrow WITH (FORCE)")


@pytest.fixture
def make_here() -> Callable[[str], World]:
    def build(url: str) -> World:
        migrate(url)
        return make_world(SqlDatabase(url))

    return build


def test_one_answer_that_fails_for_good_keeps_no_other_of_its_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, [RuntimeError("a bug")])
    rows = [world.accept(number(n)) for n in range(3)]
    items = [(row["id"], row["revision"]) for row in rows]
    with pytest.raises(RuntimeError, match="a bug"):
        purchase.buy_batch(world.runtime, items, "acme")
    found = world.rows(select(PURCHASE.c.status))
    assert sorted(row["status"] for row in found) == ["purchased", "purchased", "purchasing"]


def test_a_refusal_in_hand_outlives_the_look_that_has_no_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise error(ProgrammingError)

    monkeypatch.setattr(intents, "extend", away)
    world.provider.script.append(REFUSED)
    row = world.accept()
    world.work()
    assert world.attempts(row["id"]) == ["refused"]


def test_a_process_that_is_ended_does_not_hold_on(world: World) -> None:
    def killed() -> None:
        raise Killed

    with pytest.raises(Killed):
        database_away.until_written(world.runtime.database, killed, "")
