"""The audit of each provider that can list, over a real socket: what it finds, and how that is settled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from redis import Redis
from sqlalchemy import select, update

from schemas.settling import FindingKind
from schemas.status import Status
from schemas.tables.audits import AUDIT_RUN, FINDING
from schemas.tables.purchases import PURCHASE, RESOLUTION
from tasks.audit import compare
from tasks.audit.compare import NotCharged, NothingLeft
from tasks.ledger.rows import Row
from tasks.policies.pace import Pace
from tasks.providers.adapter import ProviderError, Unsupported
from tasks.providers.transport.turns import at_once, in_turn
from tests.tasks.shops import LISTS, PAGES, Shop
from tests.tasks.support import number

OWNED_TWICE = pytest.mark.parametrize(
    "shop", [kind for kind in LISTS if kind not in ("plivo", "vonage")], indirect=True
)
"""Where two records of one number have ids of their own: Plivo and Vonage name a number by its digits."""


def test_an_account_in_order_has_no_differences(shop: Shop) -> None:
    shop.buy(number(1), number(2))
    shop.world.clock.advance(600)
    calls = len(shop.sandbox.control.calls(shop.kind))
    report = shop.audit()
    assert (report.findings, report.owned) == ([], 2)
    assert len(shop.sandbox.control.calls(shop.kind)) == calls


def test_each_difference_is_found_and_settled(shop: Shop) -> None:
    _, doubtful, _ = shop.buy(number(1), number(2), number(3))
    shop.forget()
    shop.own(number(1), number(2), number(4))
    shop.put(doubtful, Status.HELD)
    shop.world.clock.advance(600)
    report = shop.audit()
    assert [finding.key for finding in report.findings] == [
        ("evidence", number(2)),
        ("missing", number(3)),
        ("orphan", number(4)),
    ]
    adopted = compare.adopt(shop.runtime, shop.binding, report, "ann")
    released = compare.mark_released(shop.runtime, shop.binding, report, "ann")
    assert [finding.number for finding in adopted.settled] == [number(4), number(2)]
    assert [finding.number for finding in released.settled] == [number(3)]
    assert adopted.left == released.left == []
    rows = {row["number"]: row for row in shop.world.rows(select(PURCHASE))}
    assert {one: row["status"] for one, row in rows.items()} == {
        number(1): Status.PURCHASED,
        number(2): Status.PURCHASED,
        number(3): Status.RELEASED,
        number(4): Status.PURCHASED,
    }
    with in_turn(at_once):
        known = {one.number: one.provider_number_id for one in shop.binding.adapter.owned()}
    assert rows[number(4)]["provider_number_id"] == known[number(4)]
    assert {row["by"] for row in shop.world.rows(select(RESOLUTION))} == {"ann"}
    assert shop.audit().findings == []
    assert shop.charges() == 0


@OWNED_TWICE
def test_a_number_owned_twice_is_found(shop: Shop) -> None:
    [row] = shop.buy(number(1))
    shop.own(number(1))
    [finding] = shop.audit().findings
    assert (finding.kind, finding.purchase_id) == (FindingKind.CHARGED_TWICE, row["id"])
    assert len(finding.provider_number_ids) == 2


def test_what_is_bought_while_it_walks_is_no_difference(shop: Shop) -> None:
    shop.own(*(number(n) for n in range(PAGES[shop.kind] + 1)))
    late = iter(["+14155560001", "+14155560002"])

    def buy_meanwhile(_: int) -> None:
        if one := next(late, None):
            shop.buy(one)

    report = shop.audit(progress=buy_meanwhile)
    assert shop.charges() == 2
    assert {finding.number for finding in report.findings} == {number(n) for n in range(PAGES[shop.kind] + 1)}


def test_a_provider_without_a_list_cannot_be_audited(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop("timepay")
    with pytest.raises(Unsupported, match="no list of owned numbers"):
        shop.audit()
    assert shop.scheduled() is None
    assert shop.world.rows(select(AUDIT_RUN)) == []


def test_a_list_that_falls_while_it_is_walked_tells_nothing(fluents: Shop) -> None:
    """A number that is given back meanwhile moves the others up: one falls between two pages."""
    numbers = [number(n) for n in range(101)]
    fluents.own(*numbers)
    compare.adopt(fluents.runtime, fluents.binding, fluents.audit(), "ann")
    fluents.world.clock.advance(1000)
    pages: list[int] = []

    def give_one_back(step: int) -> None:
        pages.append(step)
        if len(pages) == 2:
            fluents.forget()
            fluents.own(*numbers[1:])

    with pytest.raises(ProviderError, match="the list became shorter while it was read"):
        fluents.audit(progress=give_one_back)
    # a full page, and an empty one in which the last number is not any more
    assert pages == [0, 100]
    assert [finding.key for finding in fluents.audit().findings] == [("missing", numbers[0])]


def test_a_clock_that_is_set_ahead_has_nothing_missing_sooner(shop: Shop) -> None:
    shop.buy(number(1), number(2))
    shop.world.clock.set(3600)
    shop.forget()
    shop.own(number(1))
    assert shop.audit().of(FindingKind.MISSING) == []
    shop.world.clock.advance(shop.binding.policy.reconcile_after[-1])
    assert [finding.number for finding in shop.audit().of(FindingKind.MISSING)] == [number(2)]


def test_a_number_that_a_look_still_shows_is_not_marked(shop: Shop) -> None:
    _, second = shop.buy(number(1), number(2))
    shop.world.clock.advance(600)
    shop.forget()
    shop.own(number(1))
    report = shop.audit()
    assert [finding.number for finding in report.of(FindingKind.MISSING)] == [number(2)]
    shop.own(number(2))
    done = compare.mark_released(shop.runtime, shop.binding, report, "ann")
    assert ([finding.number for finding in done.left], done.settled) == ([number(2)], [])
    assert shop.world.row(second["id"])["status"] == Status.PURCHASED


@pytest.mark.parametrize("fault", ["error_before", "account", "throttle"])
def test_a_last_look_that_fails_marks_nothing(fluents: Shop, fault: str) -> None:
    fluents.buy(number(1))
    fluents.world.clock.advance(600)
    fluents.forget()
    report = fluents.audit()
    fluents.sandbox.control.plan("fluents", fault, on="read")
    done = compare.mark_released(fluents.runtime, fluents.binding, report, "ann", all_gone=True)
    assert (len(done.settled), len(done.left)) == (0, 1)
    assert fluents.world.pace.penalties == ([1.0] if fault == "throttle" else [])


def test_a_last_look_that_would_have_to_wait_for_long_marks_nothing(fluents: Shop, redis: Redis) -> None:
    fluents.buy(number(1))
    fluents.world.clock.advance(600)
    fluents.forget()
    report = fluents.audit()
    pace = Pace(redis)
    pace.penalise(fluents.binding.looking, 3600.0)
    done = compare.mark_released(replace(fluents.runtime, pace=pace), fluents.binding, report, "ann", all_gone=True)
    assert (len(done.settled), len(done.left)) == (0, 1)


@pytest.mark.parametrize("bought", [1, 2])
def test_a_list_that_shows_none_of_ours_is_taken_for_a_wrong_token(fluents: Shop, bought: int) -> None:
    fluents.buy(*(number(n) for n in range(bought)))
    fluents.world.clock.advance(600)
    fluents.forget()
    report = fluents.audit()
    with pytest.raises(NothingLeft):
        compare.mark_released(fluents.runtime, fluents.binding, report, "ann")
    assert {row["status"] for row in fluents.world.rows(select(PURCHASE))} == {Status.PURCHASED}
    done = compare.mark_released(fluents.runtime, fluents.binding, report, "ann", all_gone=True)
    assert len(done.settled) == bought


def test_a_number_that_bird_still_sets_up_is_neither_adopted_nor_bought_again(open_shop: Callable[..., Shop]) -> None:
    bird = open_shop("bird")
    bird.sandbox.control.provisioning(60)
    doubtful, orphan = bird.buy(number(1), number(2))
    assert orphan["status"] == Status.PROCESSING
    bird.put(doubtful, Status.QUEUED)
    bird.put(orphan, Status.FAILED)
    bird.world.clock.advance(600)
    with bird.world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == orphan["id"]).values(finished_at=orphan["created_at"]))
    done = compare.adopt(bird.runtime, bird.binding, bird.audit(), "ann")
    assert [finding.number for finding in done.left] == [number(2)]
    assert bird.world.row(doubtful["id"])["status"] == Status.PROCESSING


def charged_twice(shop: Shop, *, index: int = 1) -> Row:
    """A purchase of a number that the provider sold twice."""
    [row] = shop.buy(number(index))
    shop.own(number(index))
    return row


def settle(shop: Shop, *numbers: str) -> list[str]:
    done = compare.settle_charged_twice(shop.runtime, shop.audit(), numbers, "ann", "credit note 7")
    return [finding.number for finding in done.settled]


@OWNED_TWICE
def test_what_was_charged_twice_is_settled_by_a_person_once(shop: Shop) -> None:
    row, other = charged_twice(shop), charged_twice(shop, index=2)
    shop.world.clock.advance(600)
    assert shop.scheduled() == 2
    before = shop.world.row(row["id"])
    assert settle(shop, number(1), number(1)) == [number(1)]
    assert [finding.number for finding in shop.audit().findings] == [number(2)]
    assert shop.world.row(row["id"]) == {
        **before,
        "revision": before["revision"] + 1,
        "updated_at": shop.world.clock.moment,
    }
    [said] = shop.world.rows(select(RESOLUTION))
    assert (said["purchase_id"], said["by"], said["note"]) == (row["id"], "ann", "charged twice: credit note 7")
    kept = {one["purchase_id"]: one["resolved_at"] for one in shop.world.rows(select(FINDING))}
    assert kept == {row["id"]: shop.world.clock.moment, other["id"]: None}
    shop.world.clock.advance(24 * 3600)
    assert shop.scheduled() == 0
    assert shop.told() == ["charged_twice", "charged_twice"]
    with pytest.raises(NotCharged, match="not among"):
        settle(shop, number(1))


@OWNED_TWICE
def test_what_no_scheduled_audit_had_found_is_settled_too(shop: Shop) -> None:
    charged_twice(shop)
    assert settle(shop, number(1)) == [number(1)]
    assert shop.audit().findings == []
    shop.world.clock.advance(24 * 3600)
    assert shop.scheduled() == 0


@OWNED_TWICE
def test_all_are_settled_or_none(shop: Shop) -> None:
    charged_twice(shop)
    ended = charged_twice(shop, index=2)
    with shop.world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == ended["id"]).values(status=Status.RELEASED))
    shop.world.clock.advance(600)
    with pytest.raises(NotCharged, match=r"is unknown here: settle that first"):
        settle(shop, number(1), number(2))
    assert shop.world.rows(select(RESOLUTION)) == []
    compare.adopt(shop.runtime, shop.binding, shop.audit(), "ann")
    assert sorted(settle(shop, number(1), number(2))) == [number(1), number(2)]
    assert shop.audit().findings == []
