"""How findings are settled and told: once, by compare-and-set, with who did it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.requests import BuyNumber
from schemas.settling import Finding, FindingKind, Verdict
from schemas.status import Status
from schemas.tables.audits import FINDING
from schemas.tables.purchases import EVENT, PURCHASE, RESOLUTION
from tasks import orders
from tasks.ledger.audit import findings
from tasks.ledger.audit.differences import OPEN, Shown
from tasks.ledger.resolve import Settler
from tasks.ledger.rows import Row
from tasks.lifecycle import release_and_sweep
from tests.tasks.ledger.audit.test_differences import standing, walks
from tests.tasks.ledger.test_resolve import ordered, updates
from tests.tasks.support import NUMBER, World, number

ACCOUNT = "acme-account"


def orphan(wanted: str = NUMBER, known: str = "x-1") -> Finding:
    return Finding(kind=FindingKind.ORPHAN, number=wanted, provider="acme", provider_number_ids=(known,))


def about(row: Row, kind: FindingKind = FindingKind.EVIDENCE, **fields: Any) -> Finding:
    fixed = {"number": row["number"], "provider": row["provider"], "purchase_id": row["id"]}
    return Finding(**{**fixed, "kind": kind, "provider_number_ids": ("x-1",), **fields})


def settler(world: World) -> Settler:
    return Settler(by="ann", now=world.clock.moment)


def adopt(world: World, *orphans: Finding) -> list[Row]:
    with world.write() as conn:
        return findings.adopt(conn, orphans, settler(world), walks(world, Shown()))


def take(world: World, *evidence: Finding) -> list[Finding]:
    with world.write() as conn:
        return findings.take_evidence(conn, evidence, settler(world), walks(world, Shown()), poll_every=15.0)


def release(world: World, *missing: Finding) -> list[Row]:
    with world.write() as conn:
        shows_by = world.clock.moment - timedelta(seconds=120)
        return findings.release_missing(conn, missing, settler(world), shows_by)


def tell(world: World, *found: Finding, **options: Any) -> int:
    with world.write() as conn:
        return findings.tell(conn, found, account=ACCOUNT, alias="acme", now=world.clock.moment, **options)


def verdicts(world: World) -> list[tuple[str, str, int, str]]:
    return [(r["purchase_id"], r["decision"], r["revision"], r["by"]) for r in world.rows(select(RESOLUTION))]


def test_an_adopted_number_is_a_purchase_like_any_other(world: World) -> None:
    [made] = adopt(world, orphan())
    row = world.row(made["id"])
    assert (row["status"], row["success"], row["already_owned"]) == (Status.PURCHASED, True, True)
    assert (row["number"], row["account"], row["provider_number_id"]) == (NUMBER, ACCOUNT, "x-1")
    assert (row["order_id"], row["due_at"], row["finished_at"]) == (None, None, world.clock.moment)
    assert verdicts(world) == [(row["id"], Verdict.ADOPTED, 0, "ann")]
    [event] = world.rows(select(EVENT))
    assert (event["type"], event["subject"]) == ("dialstock.purchase.purchased", NUMBER)
    assert world.accept()["id"] == row["id"]


def test_adopting_twice_makes_one_purchase(world: World) -> None:
    assert len(adopt(world, orphan(), orphan(number(1)))) == 2
    assert adopt(world, orphan(), orphan(number(1))) == []
    assert world.events() == ["purchased", "purchased"]


def test_a_number_that_somebody_asks_for_at_this_instant_is_not_adopted(world: World) -> None:
    row = world.accept()
    assert [one["number"] for one in adopt(world, orphan(), orphan(number(1)))] == [number(1)]
    assert world.row(row["id"]) == row


@pytest.mark.parametrize("status", Status)
def test_evidence_settles_what_is_open(world: World, status: Status) -> None:
    row = standing(world, status)
    taken = take(world, about(row))
    after = world.row(row["id"])
    if status not in OPEN:
        assert (taken, after) == ([], row)
        assert verdicts(world) == []
        return
    assert (after["status"], after["success"], after["provider_number_id"]) == (Status.PURCHASED, True, "x-1")
    assert after["revision"] == row["revision"] + 1
    assert world.events() == ["purchased"]
    assert verdicts(world) == [(row["id"], Verdict.EVIDENCE, after["revision"], "ann")]
    assert take(world, about(row)) == []


@pytest.mark.parametrize("doubt", [True, False])
def test_what_no_call_of_ours_can_have_bought_was_ours_before(world: World, doubt: bool) -> None:
    row = standing(world, Status.QUEUED)
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(doubt=doubt, error="cut", error_code="reset"))
    take(world, about(row))
    after = world.row(row["id"])
    assert after["already_owned"] is not doubt
    assert (after["error"], after["error_code"], after["first_attempt_at"]) == (None, None, None)


def test_evidence_makes_a_message_under_way_worthless(world: World) -> None:
    row = world.accept()
    assert [message.task for message in world.sent] == [release_and_sweep.BUY]
    take(world, about(row))
    world.work()
    assert world.provider.charged == []
    assert world.row(row["id"])["status"] == Status.PURCHASED


@pytest.mark.parametrize("status", OPEN)
def test_a_number_that_is_not_usable_yet_is_followed(world: World, status: Status) -> None:
    row = standing(world, status)
    taken = take(world, about(row, usable=False))
    after = world.row(row["id"])
    if status is Status.HELD:
        assert (taken, after) == ([], row)
        return
    assert (after["status"], after["first_attempt_at"]) == (Status.PROCESSING, world.clock.moment)
    assert after["due_at"] == world.clock.moment + timedelta(seconds=15)
    world.provider.charge(NUMBER)
    assert world.settle(row["id"])["status"] == Status.PURCHASED
    assert len(world.provider.charged) == 1


def test_evidence_for_what_was_held_is_told_to_its_completed_order(world: World) -> None:
    ordered(world, NUMBER)
    [row] = world.rows(select(PURCHASE))
    take(world, about(row))
    orders.complete_finished(world.runtime)
    assert [event["data"]["counts"] for event in updates(world)] == [{"purchased": 1}]


def test_what_is_gone_is_released_and_may_be_bought_again(world: World) -> None:
    row = standing(world, Status.PURCHASED)
    release(world, about(row, FindingKind.MISSING))
    after = world.row(row["id"])
    assert (after["status"], after["success"], after["error_code"]) == (Status.RELEASED, False, "not_owned")
    assert world.events() == ["released"]
    assert verdicts(world) == [(row["id"], Verdict.RELEASED, after["revision"], "ann")]
    assert release(world, about(row, FindingKind.MISSING)) == []
    assert world.accept()["id"] != row["id"]


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.PURCHASED}))
def test_only_what_was_purchased_is_released(world: World, status: Status) -> None:
    row = standing(world, status)
    assert release(world, about(row, FindingKind.MISSING)) == []
    assert world.row(row["id"]) == row


def test_what_may_still_show_is_never_released(world: World) -> None:
    row = standing(world, Status.PURCHASED, age=119)
    assert release(world, about(row, FindingKind.MISSING)) == []
    assert world.row(row["id"]) == row


def test_a_released_line_is_told_to_its_completed_order(world: World) -> None:
    order = orders.begin(world.runtime, name="test")
    orders.load(world.runtime, order["id"], [(1, BuyNumber(number=NUMBER, provider="acme"))])
    orders.finish(world.runtime, order["id"])
    [row] = world.rows(select(PURCHASE))
    world.settle(row["id"])
    orders.complete_finished(world.runtime)
    world.clock.advance(600)
    release(world, about(row, FindingKind.MISSING))
    orders.complete_finished(world.runtime)
    assert [event["data"]["counts"] for event in updates(world)] == [{"released": 1}]


@pytest.mark.parametrize("kind", FindingKind)
def test_a_finding_is_told_once_while_it_stands(world: World, kind: FindingKind) -> None:
    finding = Finding(kind=kind, number=NUMBER, provider="twin", provider_number_ids=("x-1", "x-2"))
    assert (tell(world, finding), tell(world, finding)) == (1, 0)
    [kept] = world.rows(select(FINDING))
    [event] = world.rows(select(EVENT))
    assert (event["type"], event["source"]) == (f"dialstock.audit.{kind}", "/dialstock/providers/acme")
    assert event["subject"] == NUMBER
    assert (event["data"]["finding_id"], event["data"]["kind"]) == (kept["id"], kind)
    assert event["data"]["provider_number_ids"] == kept["provider_number_ids"] == ["x-1", "x-2"]
    with world.write() as conn:
        assert findings.open_findings(conn, ACCOUNT) == {finding.key: kept["id"]}
        assert findings.open_findings(conn, "elsewhere") == {}


def test_a_finding_that_comes_back_is_told_again(world: World) -> None:
    tell(world, orphan())
    with world.write() as conn:
        findings.resolve_findings(conn, list(findings.open_findings(conn, ACCOUNT).values()), world.clock.moment)
    assert tell(world, orphan()) == 1
    assert [row["resolved_at"] is None for row in world.rows(select(FINDING).order_by(FINDING.c.id))] == [False, True]


def test_what_is_told_as_settled_does_not_stand(world: World) -> None:
    assert (tell(world, orphan(), settled=True), tell(world, orphan(), settled=True)) == (1, 1)
    with world.write() as conn:
        assert findings.open_findings(conn, ACCOUNT) == {}


def twice(row: Row, *ids: str) -> Finding:
    return about(row, FindingKind.CHARGED_TWICE, provider_number_ids=ids)


def settle_twice(world: World, *found: Finding) -> list[Finding]:
    with world.write() as conn:
        return findings.settle_charged_twice(conn, found, ACCOUNT, settler(world), "refunded")


@pytest.mark.parametrize("told", [True, False])
def test_what_was_charged_twice_is_settled_on_its_purchase(world: World, told: bool) -> None:
    row = standing(world, Status.PURCHASED)
    if told:
        tell(world, twice(row, "a"))
    world.clock.advance(600)
    found = twice(row, "a", "b")
    assert settle_twice(world, found) == [found]
    after = world.row(row["id"])
    assert after == {**row, "revision": 6, "updated_at": world.clock.moment, "success": True, "due_at": None}
    [said] = world.rows(select(RESOLUTION))
    assert said == {
        "purchase_id": row["id"],
        "revision": 6,
        "decision": Verdict.BOUGHT,
        "by": "ann",
        "note": "charged twice: refunded",
        "at": world.clock.moment,
    }
    [kept] = world.rows(select(FINDING))
    assert (kept["resolved_at"], kept["purchase_id"]) == (world.clock.moment, row["id"])
    assert (kept["kind"], kept["provider_number_ids"]) == ("charged_twice", ["a", "b"])
    assert world.events() == (["charged_twice"] if told else [])


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.PURCHASED}))
def test_what_is_not_purchased_any_more_is_left(world: World, status: Status) -> None:
    row = standing(world, status)
    assert settle_twice(world, twice(row, "a", "b")) == []
    assert world.row(row["id"]) == row
    assert world.rows(select(FINDING)) == world.rows(select(RESOLUTION)) == []
