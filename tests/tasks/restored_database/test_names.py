"""Our names of calls: each is of one call, also where a restored row counts its revisions once more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from schemas.outcomes import Look, LookKind
from schemas.status import Status
from schemas.tables.purchases import ATTEMPT
from tasks.ledger.rows import Row
from tasks.providers.adapter import Ask, Known
from tasks.providers.transport.turns import at_once, in_turn
from tasks.restored_database.go_on import GoingOn
from tasks.restored_database.lost_calls import all_lost
from tasks.sandbox import SandboxServer
from tasks.watermark import Mark, Watermark
from tests.servers import RedisServer
from tests.tasks.past import Past, started
from tests.tasks.restored_database.test_absence import audit, listing
from tests.tasks.restored_database.test_answering import take_in
from tests.tasks.scripted_provider import ABSENT
from tests.tasks.shops import bind
from tests.tasks.support import ACCOUNT, NUMBER, World, number

FIRST, BEFORE, AFTER, OURS = (number(index) for index in (1, 2, 3, 90))


@dataclass
class Shop:
    """A provider with its real adapter, in a world that has gone back in time: FIRST waits there, and is called for."""

    world: World
    sandbox: SandboxServer
    kind: str
    first: Row

    def names(self, row: Row) -> list[str | None]:
        query = select(ATTEMPT).where(ATTEMPT.c.purchase_id == row["id"]).order_by(ATTEMPT.c.revision)
        return [one["reference"] for one in self.world.rows(query)]

    def charged(self) -> list[str]:
        return sorted(charge["number"] for charge in self.sandbox.control.charges(self.kind))


@pytest.fixture(params=["telnyx", "bandwidth"])
def shop(request: pytest.FixtureRequest, past: Past, sandbox: SandboxServer) -> Shop:
    """The lost call was for FIRST, which was refused, and BEFORE, which was sold; an audit let the account go on."""
    kind, world = request.param, past.world
    binding = replace(bind(sandbox.url, kind, max_batch=2), alias="acme", account=ACCOUNT)
    world.runtime = replace(world.runtime, providers={"acme": binding}, kinds={"acme": kind})
    assert world.settle(world.accept(OURS)["id"])["status"] == Status.PURCHASED
    found = Shop(world, sandbox, kind, world.queued(FIRST))
    past.keep()
    sandbox.control.plan(kind, "refuse", FIRST)
    before = world.queued(BEFORE)
    world.tick()
    assert found.names(found.first) == found.names(before)
    past.go_back()
    past.compare()
    world.clock.advance(3600)
    assert take_in(world.runtime, binding) == GoingOn(settled=True, aliases=("acme",), unseen=(FIRST,))
    return found


@pytest.mark.parametrize("fault", ["error_before", "error_after", "cut_after"])
def test_what_shares_a_call_after_a_restore_is_not_asked_for_by_the_name_of_one_before(shop: Shop, fault: str) -> None:
    shop.sandbox.control.plan(shop.kind, fault, FIRST)
    after = shop.world.queued(AFTER)
    shop.world.tick()
    assert shop.names(shop.first) == shop.names(after)
    settled = [shop.world.settle(row["id"]) for row in (shop.first, after)]
    assert [row["status"] for row in settled] == [Status.PURCHASED] * 2
    assert shop.charged() == [FIRST, BEFORE, AFTER, OURS]


@pytest.mark.parametrize(
    ("seconds", "succeed", "said"),
    [(0.0, True, LookKind.OWNED), (0.0, False, LookKind.LOST), (600.0, True, LookKind.PROCESSING)],
    ids=["complete", "failed", "pending"],
)
@pytest.mark.parametrize("kind", ["telnyx", "bandwidth"])
def test_an_order_under_our_name_tells_of_its_numbers_and_leaves_every_other_unclear(
    sandbox: SandboxServer, kind: str, seconds: float, succeed: bool, said: LookKind
) -> None:
    adapter = bind(sandbox.url, kind).adapter
    sandbox.control.provisioning(seconds, succeed)
    asks = [Ask(number=one, reference="a call of ours") for one in (FIRST, BEFORE)]
    known = Known(references=("a call of ours",))
    with in_turn(at_once):
        for ask in asks:
            assert adapter.prepare(ask) == ask
        adapter.buy(asks)
        looks = adapter.look({FIRST: known, AFTER: known})
    assert [look.kind for look in looks.values()] == [said, LookKind.UNCLEAR]


def test_what_two_restores_have_lost_is_asked_for_by_the_names_of_both(
    database_url: str, redis_server: RedisServer
) -> None:
    with started(database_url, redis_server) as past:
        provider = past.world.provider
        provider.keeps_reference = True
        asked: list[Mapping[str, Known | None]] = []

        def look(numbers: Mapping[str, Known | None]) -> dict[str, Look]:
            asked.append(numbers)
            return dict.fromkeys(numbers, ABSENT)

        past.world.queued(OURS)
        past.world.tick()
        past.lose(FIRST)
        provider.look = look  # type: ignore[method-assign]
        for calls in (1, 2):
            past.compare()
            past.world.clock.advance(3600)
            listing(past, [OURS])
            assert audit(past) == GoingOn(settled=True, aliases=("acme", "twin"), unseen=(FIRST,))
            known = asked[-1][FIRST]
            assert known is not None
            assert sorted(known.references) == sorted(str(ask.reference) for ask in provider.asks[1:])
            assert len(set(known.references)) == calls
            past.world.tick()
            past.go_back()


def test_a_call_of_a_program_that_told_no_name_is_asked_for_by_that_of_its_revision(past: Past) -> None:
    row, then = past.world.queued(), past.world.clock.moment
    first = Mark(
        purchase_id=row["id"], revision=3, number=NUMBER, started_at=then, deadline=then + timedelta(seconds=9)
    )
    again = replace(first, started_at=then + timedelta(hours=1), reference="ours")
    later = replace(again, revision=4, reference="later")
    Watermark(past.redis).write({ACCOUNT: [first, again, later]})
    assert all_lost(past.world.runtime, ACCOUNT).references == {NUMBER: ["later", "ours", f"{row['id']}-2"]}
