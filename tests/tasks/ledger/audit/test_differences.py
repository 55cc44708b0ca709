"""What counts as a difference between a provider's list and the table, and what does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from schemas.outcomes import OwnedNumber
from schemas.settling import Finding, FindingKind, Verdict
from schemas.status import DEAD, Status
from schemas.tables.purchases import ATTEMPT, PURCHASE
from tasks.ledger.audit import differences
from tasks.ledger.audit import findings as settling
from tasks.ledger.audit.differences import OPEN, Shown, Walks
from tasks.ledger.resolve import Settler, write_down
from tasks.ledger.rows import Row
from tests.tasks.support import NUMBER, World, number

LAST_LOOK = timedelta(seconds=120)


def shown(*numbers: str, usable: bool = True) -> Shown:
    """A list that shows each of *numbers*, the second time one is named under another id."""
    found = Shown()
    for place, one in enumerate(numbers):
        found.add(OwnedNumber(number=one, provider_number_id=f"owned-{place}", usable=usable))
    return found


def named(*ids: str) -> Shown:
    """A list that shows NUMBER under each of these ids."""
    found = Shown()
    for known in ids:
        found.add(OwnedNumber(number=NUMBER, provider_number_id=known))
    return found


def walks(world: World, last: Shown, **others: Any) -> Walks:
    began = world.clock.moment
    fixed = {"provider": "acme", "account": "acme-account", "began": began, "shows_by": began - LAST_LOOK}
    return Walks(**{**fixed, "last": last, **others})


def compare(world: World, last: Shown, **others: Any) -> list[Finding]:
    return differences.compare(world.runtime.database.read, walks(world, last, **others))


def standing(world: World, status: Status, wanted: str = NUMBER, *, provider: str = "acme", age: float = 3600.0) -> Row:
    """A purchase that has stood in *status* for *age* seconds."""
    row = world.accept(wanted, provider)
    world.sent.clear()
    finished = world.clock.moment - timedelta(seconds=age) if status in DEAD | {Status.PURCHASED} else None
    with world.write() as conn:
        conn.execute(
            update(PURCHASE)
            .where(PURCHASE.c.id == row["id"])
            .values(status=status, finished_at=finished, provider_number_id="known", revision=5)
        )
    return world.row(row["id"])


def calls(world: World, row: Row, *ids: str | None) -> None:
    """Calls of a purchase that the provider says it executed."""
    now = world.clock.moment
    with world.write() as conn:
        for revision, known in enumerate(ids, 1):
            same = {"purchase_id": row["id"], "started_at": now, "deadline": now, "ended_at": now}
            conn.execute(
                insert(ATTEMPT).values(**same, revision=revision, outcome="purchased", provider_number_id=known)
            )


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [finding.key for finding in findings]


@pytest.mark.parametrize("status", Status)
def test_a_number_that_is_shown(world: World, status: Status) -> None:
    row = standing(world, status)
    found = compare(world, shown(NUMBER))
    wanted = FindingKind.EVIDENCE if status in OPEN else FindingKind.ORPHAN if status in DEAD else None
    if wanted is None:
        assert found == []
        return
    [finding] = found
    assert (finding.kind, finding.purchase_id, finding.status) == (wanted, row["id"], status)
    assert (finding.number, finding.provider, finding.provider_number_ids) == (NUMBER, "acme", ("owned-0",))


@pytest.mark.parametrize("status", Status)
def test_a_number_that_is_not_shown(world: World, status: Status) -> None:
    row = standing(world, status)
    found = compare(world, shown())
    if status is not Status.PURCHASED:
        assert found == []
        return
    [finding] = found
    assert (finding.kind, finding.purchase_id) == (FindingKind.MISSING, row["id"])
    assert finding.provider_number_ids == ("known",)


def test_what_nobody_here_asked_for_is_an_orphan(world: World) -> None:
    assert compare(world, shown(NUMBER, number(1))) == [
        Finding(kind=FindingKind.ORPHAN, number=one, provider="acme", provider_number_ids=(known,))
        for one, known in sorted([(number(1), "owned-1"), (NUMBER, "owned-0")])
    ]


def test_an_orphan_names_the_latest_purchase_that_ended(world: World) -> None:
    standing(world, Status.FAILED)
    latest = standing(world, Status.CANCELLED)
    [finding] = compare(world, shown(NUMBER))
    assert (finding.purchase_id, finding.status) == (latest["id"], Status.CANCELLED)


@pytest.mark.parametrize(("age", "found"), [(119.0, []), (121.0, [("missing", NUMBER)])])
def test_a_purchase_younger_than_the_last_look_is_not_missing(world: World, age: float, found: Any) -> None:
    standing(world, Status.PURCHASED, age=age)
    assert told(compare(world, shown())) == found


def test_what_one_of_two_walks_showed_is_not_missing(world: World) -> None:
    standing(world, Status.PURCHASED)
    assert compare(world, shown(), earlier=shown(NUMBER)) == []
    assert compare(world, shown(NUMBER), earlier=shown()) == []


def test_what_was_bought_during_the_walk_is_neither_missing_nor_an_orphan(world: World) -> None:
    began = world.clock.moment
    world.clock.advance(10)
    standing(world, Status.PURCHASED, number(1), age=1)
    standing(world, Status.PURCHASED, number(2), age=1)
    seen = walks(world, shown(number(1)), began=began, shows_by=began - LAST_LOOK)
    assert differences.compare(world.runtime.database.read, seen) == []


def test_what_ended_during_the_walk_is_no_orphan(world: World) -> None:
    began = world.clock.moment
    world.clock.advance(10)
    standing(world, Status.RELEASED, age=1)
    assert compare(world, shown(NUMBER), began=began) == []


def test_aliases_of_one_account_are_compared_together(world: World) -> None:
    standing(world, Status.PURCHASED, number(1), provider="twin")
    held = standing(world, Status.HELD, number(2), provider="twin")
    [finding] = compare(world, shown(number(1), number(2)))
    assert (finding.kind, finding.provider, finding.purchase_id) == (FindingKind.EVIDENCE, "twin", held["id"])


def test_another_account_is_another_matter(world: World) -> None:
    standing(world, Status.PURCHASED)
    assert told(compare(world, shown(NUMBER), account="elsewhere")) == [("orphan", NUMBER)]
    assert compare(world, shown(), account="elsewhere") == []


@pytest.mark.parametrize("status", OPEN)
def test_a_number_that_is_not_usable_yet_is_evidence_but_for_a_person(world: World, status: Status) -> None:
    standing(world, status)
    found = compare(world, shown(NUMBER, usable=False))
    assert [finding.usable for finding in found] == ([] if status is Status.HELD else [False])


def test_the_same_entry_on_two_pages_is_one_number(world: World) -> None:
    standing(world, Status.PURCHASED)
    seen = shown(NUMBER)
    seen.add(OwnedNumber(number=NUMBER, provider_number_id="owned-0"))
    seen.add(OwnedNumber(number=NUMBER, provider_number_id=""))
    assert compare(world, seen) == []


def test_a_number_under_two_ids_was_charged_twice(world: World) -> None:
    row = standing(world, Status.PURCHASED)
    [finding] = compare(world, shown(NUMBER, NUMBER))
    assert (finding.kind, finding.purchase_id) == (FindingKind.CHARGED_TWICE, row["id"])
    assert finding.provider_number_ids == ("owned-0", "owned-1")


def test_an_orphan_can_be_charged_twice_too(world: World) -> None:
    assert told(compare(world, shown(NUMBER, NUMBER))) == [("charged_twice", NUMBER), ("orphan", NUMBER)]


@pytest.mark.parametrize(
    ("ids", "last", "twice"),
    [
        (("a", "b"), ("a", "b"), True),
        (("a", "b"), ("a",), False),
        (("a", "a"), ("a",), True),
        ((None, None), ("a",), True),
        (("a", None), ("a",), True),
        (("a",), ("a",), False),
    ],
)
def test_two_calls_that_were_executed(world: World, ids: Any, last: Any, twice: bool) -> None:
    row = standing(world, Status.PURCHASED)
    calls(world, row, *ids)
    assert told(compare(world, named(*last))) == ([("charged_twice", NUMBER)] if twice else [])


def test_two_executed_calls_under_two_ids_are_one_finding(world: World) -> None:
    row = standing(world, Status.PURCHASED)
    calls(world, row, "owned-0", "owned-1")
    [finding] = compare(world, shown(NUMBER, NUMBER))
    assert (finding.purchase_id, finding.provider_number_ids) == (row["id"], ("owned-0", "owned-1"))


@pytest.mark.parametrize("status", sorted(DEAD))
def test_what_was_given_back_is_not_charged_twice_any_more(world: World, status: Status) -> None:
    calls(world, standing(world, status), "a", "b")
    assert compare(world, shown()) == []


def test_an_unfinished_second_call_is_no_second_charge(world: World) -> None:
    row = standing(world, Status.PURCHASED)
    calls(world, row, "a")
    with world.write() as conn:
        now = world.clock.moment
        conn.execute(insert(ATTEMPT).values(purchase_id=row["id"], revision=9, started_at=now, deadline=now))
    assert compare(world, shown(NUMBER)) == []


def settle_twice(world: World, found: list[Finding]) -> None:
    with world.write() as conn:
        settler = Settler(by="ann", now=world.clock.moment)
        assert settling.settle_charged_twice(conn, found, "acme-account", settler, "refunded") == found


@pytest.mark.parametrize("ids", [("a", "b"), ("a", "a"), (None, None)])
def test_a_second_charge_that_a_person_settled_is_none(world: World, ids: Any) -> None:
    row = standing(world, Status.PURCHASED)
    calls(world, row, *ids)
    seen = named("a", "b")
    settle_twice(world, compare(world, seen))
    world.clock.advance(1)
    assert compare(world, seen) == compare(world, named("a")) == []


def test_a_second_charge_without_any_id_is_settled_too(world: World) -> None:
    calls(world, standing(world, Status.PURCHASED), None, None)
    settle_twice(world, compare(world, named("")))
    assert compare(world, named("")) == []


def test_what_was_settled_comes_back_with_another_id(world: World) -> None:
    row = standing(world, Status.PURCHASED)
    settle_twice(world, compare(world, named("a", "b")))
    [finding] = compare(world, named("a", "b", "c"))
    assert (finding.purchase_id, finding.provider_number_ids) == (row["id"], ("a", "b", "c"))
    settle_twice(world, [finding])
    assert compare(world, named("a", "b", "c")) == compare(world, named("c", "a")) == []


def test_what_was_settled_comes_back_with_another_yes(world: World) -> None:
    row = standing(world, Status.PURCHASED)
    calls(world, row, None, None)
    settle_twice(world, compare(world, named("a")))
    world.clock.advance(1)
    late = {"purchase_id": row["id"], "revision": 9, "outcome": "purchased", "started_at": world.clock.moment}
    with world.write() as conn:
        conn.execute(insert(ATTEMPT).values(**late, deadline=world.clock.moment, ended_at=world.clock.moment))
    assert told(compare(world, named("a"))) == [("charged_twice", NUMBER)]


def test_what_was_only_gone_comes_back(world: World) -> None:
    row = standing(world, Status.PURCHASED)
    found = compare(world, named("a", "b"))
    with world.write() as conn:
        settler = Settler(by="ann", now=world.clock.moment)
        write_down(conn, row, Verdict.BOUGHT, settler, "before it was charged twice")
        later = settler.now + timedelta(seconds=1)
        settling.tell(conn, found, account="acme-account", alias="acme", now=later, settled=True)
    assert compare(world, named("a", "b")) == found


def test_what_an_audit_settled_by_evidence_is_charged_twice_still(world: World) -> None:
    standing(world, Status.UNKNOWN)
    evidence = [one for one in compare(world, named("a", "b")) if one.kind is FindingKind.EVIDENCE]
    with world.write() as conn:
        settler = Settler(by="audit", now=world.clock.moment)
        assert settling.take_evidence(conn, evidence, settler, walks(world, Shown()), poll_every=15.0) == evidence
        settling.tell(conn, evidence, account="acme-account", alias="acme", now=settler.now, settled=True)
    assert told(compare(world, named("a", "b"))) == [("charged_twice", NUMBER)]


def test_what_was_settled_of_an_earlier_purchase_is_another(world: World) -> None:
    row = standing(world, Status.PURCHASED)
    settle_twice(world, compare(world, named("a", "b")))
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(status=Status.RELEASED))
    standing(world, Status.PURCHASED)
    assert told(compare(world, named("a", "b"))) == [("charged_twice", NUMBER)]


def test_more_numbers_than_a_statement_takes(world: World) -> None:
    numbers = [f"+1415{n:07d}" for n in range(2000, 3300)]
    found = compare(world, shown(*numbers))
    assert told(found) == [("orphan", one) for one in numbers]
