"""Releases through the real adapters, over HTTP, at the sandboxes of the kinds that document them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from schemas.requests import BuyNumber, RequestError
from schemas.status import Status
from tasks.audit import schedule
from tasks.ledger.releases.asking import Asking
from tasks.ledger.rows import Row
from tasks.lifecycle import give_back, purchase, reconcile
from tasks.lifecycle.accept import accept_one
from tasks.lifecycle.release_and_sweep import look_due
from tasks.providers.registry import kinds
from tasks.releases import giving_back
from tasks.runtime import Runtime
from tasks.sandbox import SandboxServer
from tests.tasks.shops import bind
from tests.tasks.support import World, number

KINDS = ("signalwire", "vogent", "twilio", "plivo", "vonage")
WEEKS = 15 * 86_400.0


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


class Store:
    """One provider of a world, with its real adapter, that numbers are given back to."""

    def __init__(self, world: World, sandbox: SandboxServer, kind: str) -> None:
        binding = bind(sandbox.url, kind)
        self.world, self.sandbox, self.kind, self.binding = world, sandbox, kind, binding
        self.runtime: Runtime = replace(world.runtime, providers={kind: binding}, kinds={kind: kinds()[kind]})

    def buy(self, count: int) -> list[Row]:
        rows = []
        for n in range(count):
            row = accept_one(self.runtime, BuyNumber(number=number(n), provider=self.kind))
            while self.world.sent:
                purchase.buy(self.runtime, **self.world.sent.pop(0).kwargs)
            rows.append(row)
        for _ in range(10):
            if all(self.world.row(row["id"])["status"] != Status.PROCESSING for row in rows):
                break
            self.look()
        return [self.world.row(row["id"]) for row in rows]

    def look(self) -> None:
        """Ask after what a yes alone does not settle."""
        self.world.clock.advance(5)
        look_due(self.runtime, self.binding)
        while self.world.sent:
            reconcile.look(self.runtime, **self.world.sent.pop(0).kwargs)

    def ask(self, row: Row) -> None:
        giving_back.ask(self.runtime, row["id"], Asking(by="ann"))

    def work(self, *, rounds: int = 40) -> None:
        self.world.clock.advance(WEEKS)
        for _ in range(rounds):
            while give_back.step(self.runtime, self.binding):
                pass
            self.world.clock.advance(20)

    def plan(self, fault: str, **params: Any) -> None:
        self.sandbox.control.plan(self.kind, fault, on="release", **params)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, world: World, running: SandboxServer) -> Store:
    running.control.reset()
    running.control.provisioning(0)
    return Store(world, running, request.param)


def test_an_order_is_given_back_whatever_happens_to_the_calls(store: Store) -> None:
    rows = store.buy(8)
    assert {row["status"] for row in rows} == {Status.PURCHASED}
    for fault in ("cut_after", "cut_before", "error_after", "error_before", "throttle"):
        store.plan(fault)
    for row in rows[:6]:
        store.ask(row)
    store.work()
    statuses = [store.world.row(row["id"])["status"] for row in rows]
    assert statuses == [Status.RELEASED] * 6 + [Status.PURCHASED] * 2
    assert sorted(store.sandbox.control.owned(store.kind)) == [row["number"] for row in rows[6:]]
    executed = [one["number"] for one in store.sandbox.control.returns(store.kind) if one["executed"]]
    assert sorted(executed) == [row["number"] for row in rows[:6]]


def test_a_refusal_keeps_the_number(store: Store) -> None:
    [row] = store.buy(1)
    store.plan("status", status=422, body={"error": "locked"})
    store.ask(row)
    store.work(rounds=5)
    assert store.world.row(row["id"])["status"] == Status.PURCHASED
    assert store.sandbox.control.owned(store.kind) == [row["number"]]


def test_what_was_given_back_at_the_portal_is_released_after_the_looks(store: Store) -> None:
    [row] = store.buy(1)
    store.sandbox.control.reset()
    store.sandbox.control.own(store.kind, [number(1)])
    store.ask(row)
    store.work()
    assert store.world.row(row["id"])["status"] == Status.RELEASED


def test_a_gateway_that_says_404_gives_no_number_up(store: Store) -> None:
    [row] = store.buy(1)
    store.plan("status", status=404, body={"error": "no route"})
    store.ask(row)
    store.work(rounds=5)
    assert store.world.row(row["id"])["status"] == Status.PURCHASED


@pytest.mark.parametrize("kind", ["signalwire"])
def test_signalwire_is_called_when_its_days_are_over(world: World, running: SandboxServer, kind: str) -> None:
    running.control.reset()
    store = Store(world, running, kind)
    [row] = store.buy(1)
    store.ask(row)
    assert give_back.step(store.runtime, store.binding) is False
    said = {"errors": [{"detail": None, "status": "422", "title": "t", "code": "purchased_too_recently"}]}
    store.plan("status", status=422, body=said)
    store.work(rounds=3)
    assert store.world.row(row["id"])["status"] == Status.RELEASING
    store.work(rounds=3)
    assert store.world.row(row["id"])["status"] == Status.RELEASED


def test_of_a_kind_without_a_call_the_command_says_what_to_do(world: World, running: SandboxServer) -> None:
    running.control.reset()
    store = Store(world, running, "fluents")
    [row] = store.buy(1)
    with pytest.raises(RequestError, match="dashboard") as failure:
        store.ask(row)
    assert failure.value.code == "no_release"


def test_telnyx_is_given_back_by_the_id_that_its_list_shows(world: World, running: SandboxServer) -> None:
    """An order that succeeds at once tells no id of the number."""
    running.control.reset()
    running.control.provisioning(0)
    store = Store(world, running, "telnyx")
    [row] = store.buy(1)
    assert (row["status"], row["provider_number_id"]) == (Status.PURCHASED, None)
    with pytest.raises(RequestError, match="audit") as failure:
        store.ask(row)
    assert failure.value.code == "no_id"
    world.clock.advance(60)
    schedule.scheduled(store.runtime, "telnyx")
    store.ask(row)
    store.work()
    assert world.row(row["id"])["status"] == Status.RELEASED
    assert running.control.owned("telnyx") == []
