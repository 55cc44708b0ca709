"""Several who ask for one number: it is bought once, and each is told of it under its own key."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update

from schemas.outcomes import Outcome, OutcomeKind
from schemas.requests import BuyNumber
from schemas.settling import Finding, FindingKind, Verdict
from schemas.status import Status
from schemas.tables.purchases import EVENT, KEY, PURCHASE
from tasks import orders
from tasks.ledger import resolve
from tasks.ledger.audit import findings
from tasks.ledger.audit.differences import Shown
from tasks.ledger.calls.intents import Claim
from tasks.ledger.calls.outcomes import Answer, record, record_all
from tasks.ledger.orders import cancel
from tasks.ledger.requests.accept import Entry, accept, tell_accepted
from tasks.ledger.rows import Row, version
from tasks.lifecycle import accept as accepting
from tasks.policies.retry import Decision
from tests.tasks.beside import beside
from tests.tasks.ledger.audit.test_differences import walks
from tests.tasks.scripted_provider import REFUSED, UNKNOWN
from tests.tasks.support import NUMBER, World, number

YES = Outcome(kind=OutcomeKind.PURCHASED, http_status=200, provider_number_id="id-1")
BOUGHT = Decision(status=Status.PURCHASED, counts=True)


def ask(world: World, key: str, wanted: str = NUMBER) -> Row:
    """As a service does by message, with metadata that tell it from the others."""
    fields = {"number": wanted, "provider": "acme", "idempotency_key": key, "metadata": {"of": key}}
    return accepting.buy_number(world.runtime, fields, f"message of {key}")


def events(world: World) -> list[Row]:
    return world.rows(select(EVENT).where(EVENT.c.type.like("%.purchase.%")).order_by(EVENT.c.seq))


def told(world: World) -> list[tuple[str, str | None]]:
    """The last words of the events of purchases, and whom they are for."""
    found = [(one["type"].rsplit(".", 1)[1], one["data"]) for one in events(world)]
    assert all(data["metadata"] == ({"of": data["idempotency_key"]}) for _, data in found)
    return [(kind, data["idempotency_key"]) for kind, data in found]


def load(world: World, *requests: BuyNumber) -> str:
    """An order that is loading."""
    order_id = str(orders.begin(world.runtime)["id"])
    orders.load(world.runtime, order_id, list(enumerate(requests, 1)))
    return order_id


def line(key: str | None, wanted: str = NUMBER) -> BuyNumber:
    return BuyNumber(number=wanted, provider="acme", idempotency_key=key, metadata={"of": key})


def yes(claim: Claim) -> Answer:
    return Answer(claim=claim, outcome=YES, decision=BOUGHT)


def test_each_is_told_under_its_own_key_and_with_its_own_metadata(world: World) -> None:
    first, second, third = (ask(world, key) for key in ("a", "b", "c"))
    assert first["id"] == second["id"] == third["id"]
    world.work()
    assert told(world) == [("purchased", "a"), ("purchased", "b"), ("purchased", "c")]
    mine = events(world)
    assert len({one["id"] for one in mine}) == 3
    same = [{**one["data"], "idempotency_key": None, "metadata": None} for one in mine]
    assert same[0] == same[1] == same[2]
    assert {one["sequence"] for one in mine} == {world.row(first["id"])["revision"]}
    accepted = world.rows(select(EVENT).where(EVENT.c.type.like("%.accepted")).order_by(EVENT.c.seq))
    assert [(one["data"]["metadata"]["of"], one["data"]["repeat"]) for one in accepted] == [
        ("a", False),
        ("b", True),
        ("c", True),
    ]
    assert len(world.provider.charged) == 1


def test_who_comes_after_the_end_is_told_it_at_once_and_once(world: World) -> None:
    ask(world, "a")
    world.work()
    for _ in range(2):
        ask(world, "b")
    assert world.events(without="") == ["accepted", "purchased", "accepted", "purchased", "accepted"]
    assert told(world) == [("purchased", "a"), ("purchased", "b")]
    ask(world, "a")
    assert told(world) == [("purchased", "a"), ("purchased", "b")]


def test_a_message_that_is_delivered_again_before_the_end_is_told_it_once(world: World) -> None:
    for key in ("a", "b", "b", "a"):
        ask(world, key)
    world.work()
    assert told(world) == [("purchased", "a"), ("purchased", "b")]


def test_a_refusal_and_a_new_try_have_their_own_requests(world: World) -> None:
    world.provider.script.append(REFUSED)
    row = ask(world, "a")
    ask(world, "b")
    world.settle(row["id"])
    assert told(world) == [("failed", "a"), ("failed", "b")]
    ask(world, "c")
    world.work()
    assert told(world)[2:] == [("purchased", "c")]


def test_what_is_held_and_settled_by_a_person_is_told_to_all(make: Callable[..., World]) -> None:
    world = make(on_unknown="hold")
    world.provider.script.append(UNKNOWN)
    row = ask(world, "a")
    ask(world, "b")
    world.settle(row["id"])
    ask(world, "c")
    assert told(world) == [("held", "a"), ("held", "b"), ("held", "c")]
    with world.write() as conn:
        said = [resolve.Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT)]
        settler = resolve.Settler(by="somebody", now=world.clock())
        resolve.resolve(conn, said, {row["id"]: version(world.row(row["id"]))}, settler)
    assert told(world)[3:] == [("purchased", "a"), ("purchased", "b"), ("purchased", "c")]


def test_what_an_audit_finds_is_told_to_all(world: World) -> None:
    row = ask(world, "a")
    ask(world, "b")
    settler = resolve.Settler(by="audit", now=world.clock())
    fields: dict[str, Any] = {"number": NUMBER, "provider": "acme", "purchase_id": row["id"]}
    with world.write() as conn:
        findings.take_evidence(
            conn, [Finding(kind=FindingKind.EVIDENCE, **fields)], settler, walks(world, Shown()), poll_every=1.0
        )
    world.clock.advance(1)
    with world.write() as conn:
        missing = [Finding(kind=FindingKind.MISSING, **fields)]
        findings.release_missing(conn, missing, settler, world.clock())
    assert told(world) == [("purchased", "a"), ("purchased", "b"), ("released", "a"), ("released", "b")]


def test_a_number_that_an_audit_took_in_is_told_to_who_asks_for_it(world: World) -> None:
    orphan = Finding(kind=FindingKind.ORPHAN, number=NUMBER, provider="acme")
    with world.write() as conn:
        findings.adopt(conn, [orphan], resolve.Settler(by="audit", now=world.clock()), walks(world, Shown()))
        conn.execute(delete(EVENT))
    ask(world, "a")
    assert told(world) == [("purchased", "a")]


def test_what_is_cancelled_with_all_its_orders_is_told_to_who_joined_it(world: World) -> None:
    order_ids = [load(world, line("a")), load(world, line("b"))]
    for step in (orders.finish, orders.cancel):
        for order_id in order_ids:
            step(world.runtime, order_id)
    assert told(world) == [("cancelled", "a"), ("cancelled", "b")]


def test_several_answers_that_are_written_together_are_told_to_who_joined_since_the_claim(world: World) -> None:
    claims = [world.claim(ask(world, f"first-{n}", number(n))["id"]) for n in range(3)]
    ask(world, "second-1", number(1))
    with world.write() as conn:
        record_all(conn, [yes(claim) for claim in claims], world.clock())
    assert Counter(told(world)) == Counter(("purchased", key) for key in ("first-0", "first-1", "first-2", "second-1"))


def test_a_purchase_of_one_asks_for_nobody_else(world: World) -> None:
    claims = [world.claim(ask(world, f"{n}", number(n))["id"]) for n in range(3)]
    with statements(world) as seen, world.write() as conn:
        record(conn, claims[0], YES, BOUGHT, world.clock())
        record_all(conn, [yes(claim) for claim in claims[1:]], world.clock())
    assert len(told(world)) == 3
    assert [one for one in seen if "purchase_key" in one] == []


class TestOrders:
    def test_a_line_with_a_key_is_told_by_itself_and_one_without_by_its_order(self, world: World) -> None:
        row = ask(world, "a")
        order_id = load(world, line("b"), line(None), line("b"), line("c"))
        orders.finish(world.runtime, order_id)
        world.work()
        assert told(world) == [("purchased", "a"), ("purchased", "b"), ("purchased", "c")]
        assert [one["data"]["order_id"] for one in events(world)] == [None, order_id, order_id]
        assert {one["data"]["purchase_id"] for one in events(world)} == {row["id"]}

    def test_a_line_for_what_is_bought_is_told_so_when_it_comes_in(self, world: World) -> None:
        ask(world, "a")
        world.work()
        order_id = load(world, line("b"), line("c", number(1)))
        assert told(world) == [("purchased", "a"), ("purchased", "b")]
        orders.load(world.runtime, order_id, [(1, line("b"))])
        orders.finish(world.runtime, order_id)
        assert len(told(world)) == 2

    def test_an_order_that_is_given_up_is_told_nothing_more_and_its_keys_are_free(self, world: World) -> None:
        ask(world, "a")
        orders.abandon(world.runtime, load(world, line("b"), line("c", number(1))))
        assert [row["idempotency_key"] for row in world.rows(select(KEY))] == ["a"]
        world.work()
        assert [one for one in told(world) if one[0] == "purchased"] == [("purchased", "a")]
        ask(world, "b")
        assert told(world)[-1] == ("purchased", "b")


def test_a_key_of_an_older_version_is_told_with_the_first_ones_metadata(world: World) -> None:
    ask(world, "a")
    ask(world, "b")
    with world.write() as conn:
        conn.execute(update(KEY).values(metadata=None))
    world.work()
    assert [(one["data"]["idempotency_key"], one["data"]["metadata"]) for one in events(world)] == [
        ("a", {"of": "a"}),
        ("b", {"of": "a"}),
    ]


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """What the database is told meanwhile."""
    engine, seen = world.runtime.database.engine, []  # type: ignore[attr-defined]

    def see(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", see)
    yield seen
    event.remove(engine, "before_cursor_execute", see)


def together(*actions: Callable[[], object]) -> None:
    """All of them begin at the same moment."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        barrier.wait()
        action()

    with ThreadPoolExecutor(len(actions)) as executor:
        list(executor.map(run, actions))


@pytest.mark.parametrize("several", [False, True])
def test_whoever_joins_at_the_instant_of_the_end_is_told_it_once(world: World, several: bool) -> None:
    for n in range(8):
        claims = [world.claim(ask(world, f"{n}", number(n))["id"])]
        if several:
            claims.append(world.claim(ask(world, f"other-{n}", number(100 + n))["id"]))

        def end(claims: list[Claim] = claims) -> None:
            with world.write() as conn:
                record_all(conn, [yes(claim) for claim in claims], world.clock())

        keys = [f"{n}-joiner-{who}" for who in range(4)]
        together(end, *[lambda key=key, n=n: ask(world, key, number(n)) for key in keys])
        assert Counter(told(world)).most_common(1)[0][1] == 1
        mine = {key for kind, key in told(world) if kind == "purchased"}
        assert mine >= {f"{n}", *keys}


def test_an_end_that_waits_for_who_joins_tells_him(postgres: World) -> None:
    claim = postgres.claim(ask(postgres, "a")["id"])

    def end() -> None:
        with postgres.write() as conn:
            record(conn, claim, YES, BOUGHT, postgres.clock())

    with beside(postgres, end) as conn:
        [accepted] = accept(conn, [Entry(request=line("b"), account="acme-account")], postgres.clock())
        tell_accepted(conn, accepted, line("b"), postgres.clock())
    assert told(postgres) == [("purchased", "a"), ("purchased", "b")]


def test_who_joins_and_waits_for_the_end_is_told_it(postgres: World) -> None:
    claim = postgres.claim(ask(postgres, "a")["id"])
    with beside(postgres, lambda: ask(postgres, "b")) as conn:
        record(conn, claim, YES, BOUGHT, postgres.clock())
    assert told(postgres) == [("purchased", "a"), ("purchased", "b")]
    assert postgres.rows(select(PURCHASE.c.joined)) == [{"joined": True}]


def test_who_joins_and_waits_for_an_end_without_the_number_gets_a_purchase_of_his_own(postgres: World) -> None:
    row = ask(postgres, "a")
    found: list[Row] = []
    with beside(postgres, lambda: found.append(ask(postgres, "b"))) as conn:
        cancel.cancel(conn, row["id"], postgres.clock())
    assert [(one["id"] != row["id"], one["idempotency_key"], one["status"]) for one in found] == [
        (True, "b", Status.DISPATCHED)
    ]
    assert told(postgres) == [("cancelled", "a")]
