"""A number that is refused after a call in doubt, by providers that take an order and tell later: not held for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.settling import FindingKind, Verdict
from schemas.status import Status
from tasks.audit import compare, schedule
from tasks.ledger.resolve import Resolution, Settler, resolve, standing
from tasks.ledger.rows import Row
from tasks.restored_database.go_on import GoingOn
from tasks.sandbox import SandboxServer
from tests.tasks.past import Past
from tests.tasks.restored_database.test_answering import take_in
from tests.tasks.shops import bind
from tests.tasks.support import ACCOUNT, NUMBER, World, number

OURS = number(90)


def sold_by(world: World, sandbox: SandboxServer, kind: str) -> None:
    """Have acme be a provider of *kind*, that sold one number already."""
    binding = replace(bind(sandbox.url, kind), alias="acme", account=ACCOUNT)
    world.runtime = replace(world.runtime, providers={"acme": binding}, kinds={"acme": kind})
    assert bought(world, OURS)["status"] == Status.PURCHASED


def bought(world: World, wanted: str = NUMBER) -> Row:
    return world.settle(world.accept(wanted)["id"])


def held(world: World, sandbox: SandboxServer, kind: str) -> Row:
    """Its first call is in doubt, and bought nothing."""
    for fault in ("error_before", "refuse"):
        sandbox.control.plan(kind, fault, NUMBER)
    row = bought(world)
    assert (row["status"], row["error_code"], row["doubt"]) == (Status.HELD, "refused", True)
    assert world.attempts(row["id"]) == ["unknown", "refused"]
    return row


@pytest.mark.parametrize("kind", ["bandwidth", "telnyx"])
def test_the_audit_fails_it_once_the_list_does_not_show_it(world: World, sandbox: SandboxServer, kind: str) -> None:
    sold_by(world, sandbox, kind)
    row = held(world, sandbox, kind)
    world.clock.moment = row["call_deadline"] + timedelta(days=1, seconds=1)
    assert schedule.scheduled(world.runtime, "acme") == 1
    assert world.row(row["id"])["status"] == Status.FAILED


@pytest.mark.parametrize("kind", ["bandwidth", "telnyx"])
def test_what_is_bought_anew_after_it_was_not_charged_twice(world: World, sandbox: SandboxServer, kind: str) -> None:
    sold_by(world, sandbox, kind)
    row = held(world, sandbox, kind)
    wanted, settler = Resolution(purchase_id=row["id"], verdict=Verdict.RETRY), Settler(by="ann", now=world.clock())
    with world.write() as conn:
        resolve(conn, [wanted], {row["id"]: standing(conn, [row["id"]])[row["id"]]["version"]}, settler)
    assert world.settle(row["id"])["status"] == Status.PURCHASED
    report = compare.audit(world.runtime, world.binding)
    assert report.of(FindingKind.CHARGED_TWICE) == []


def test_a_lost_call_whose_order_was_refused_holds_up_no_account(past: Past, sandbox: SandboxServer) -> None:
    sold_by(past.world, sandbox, "bandwidth")
    past.keep()
    sandbox.control.plan("bandwidth", "refuse", NUMBER)
    past.world.queued()
    past.world.tick()
    past.go_back()
    past.compare()
    past.world.clock.advance(3600)
    found = take_in(past.world.runtime, past.world.binding)
    assert found == GoingOn(settled=True, aliases=("acme",), unseen=(NUMBER,))
