"""Who has a number finds what happened to it in the log."""

from __future__ import annotations

import logging

import pytest

from schemas.requests import RequestError
from tasks.ledger.rows import some_numbers
from tasks.lifecycle import accept
from tests.tasks.support import NUMBER, World, number


def test_each_outcome_names_the_number(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    row = world.accept()
    world.work()
    assert f"purchase {row['id']} of {NUMBER} at {row['provider']}: purchased, provider_number_id id-1" in caplog.text


def test_each_outcome_has_its_purchase_in_fields(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    row = world.accept()
    world.work()
    [line] = [vars(one) for one in caplog.records if vars(one).get("purchase") == row["id"]]
    assert [line[name] for name in ("order", "provider", "attempt")] == [None, row["provider"], 1]


def test_a_call_that_left_no_outcome_names_the_number(world: World, caplog: pytest.LogCaptureFixture) -> None:
    claim = world.claimed()
    world.clock.advance(world.binding.policy.timeout + 3600)
    assert world.sweep() == 1
    assert f"1 calls left no outcome and are in doubt: {claim.row['number']}" in caplog.text


def test_a_broker_that_is_away_names_the_number_that_waits(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def away(_: object) -> None:
        raise OSError("no broker")

    object.__setattr__(world.runtime, "send", away)
    row = world.accept()
    assert f"purchase {row['id']} of {NUMBER} waits: the broker is away (no broker)" in caplog.text


def test_a_rejected_message_names_the_number(world: World, caplog: pytest.LogCaptureFixture) -> None:
    accept.reject(world.runtime, "dialstock.buy_number", "m", {"number": "+1415"}, RequestError("no", "bad"))
    assert "rejected a message about +1415 (bad): no" in caplog.text


def test_of_many_numbers_the_first_are_named() -> None:
    rows = [{"number": number(n)} for n in range(25)]
    assert some_numbers(rows[:2]) == f"{number(0)}, {number(1)}"
    assert some_numbers(rows).endswith(f"{number(19)} and 5 more")
