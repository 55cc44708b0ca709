"""Numbers whose id the provider did not tell as it sold them: an audit reads it from the list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import update

from schemas.outcomes import Outcome, OutcomeKind, OwnedNumber
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.audit import compare, schedule
from tasks.ledger.audit import differences
from tasks.ledger.rows import Row
from tasks.providers.transport.turns import take_turn
from tests.tasks.releasing import DONE, Returns, make_returns
from tests.tasks.support import NUMBER, number
from workers.database.connections import SqlDatabase

NAMELESS = Outcome(kind=OutcomeKind.PURCHASED, http_status=200, provider_order_id="order-1")


@pytest.fixture
def returns(database: SqlDatabase) -> Returns:
    return make_returns(database)


def show(
    returns: Returns, *ids: str, of: str = NUMBER, usable: bool = True, meanwhile: Callable[[], object] | None = None
) -> None:
    def owned() -> Iterator[OwnedNumber]:
        take_turn()()
        for known in ids:
            yield OwnedNumber(number=of, provider_number_id=known, usable=usable)
        if meanwhile:
            meanwhile()

    returns.provider.owned = owned  # type: ignore[method-assign]


def nameless(returns: Returns, wanted: str = NUMBER) -> Row:
    returns.provider.script.append(NAMELESS)
    row = returns.bought(wanted)
    assert (row["status"], row["provider_number_id"]) == (Status.PURCHASED, None)
    returns.world.clock.advance(60)
    return row


def scheduled(returns: Returns) -> None:
    assert schedule.scheduled(returns.runtime, "acme") is not None


def adopted(returns: Returns) -> None:
    report = compare.audit(returns.runtime, returns.world.binding)
    compare.adopt(returns.runtime, returns.world.binding, report, "ann")


@pytest.mark.parametrize("audit", [scheduled, adopted])
def test_an_audit_reads_the_id_and_tells_nobody(returns: Returns, audit: Callable[[Returns], None]) -> None:
    row = nameless(returns)
    told = returns.world.events()
    show(returns, "id-7")
    audit(returns)
    after = returns.world.row(row["id"])
    changed = {name for name in row if row[name] != after[name]}
    assert (after["provider_number_id"], changed) == ("id-7", {"provider_number_id", "revision", "updated_at"})
    assert returns.world.events() == told
    returns.ask(after)
    assert returns.settle(after)["status"] == Status.RELEASED


def test_an_audit_that_only_reads_changes_nothing(returns: Returns) -> None:
    row = nameless(returns)
    show(returns, "id-7")
    compare.audit(returns.runtime, returns.world.binding)
    assert returns.world.row(row["id"]) == row


@pytest.mark.parametrize(("ids", "usable"), [(["id-7", "id-8"], True), (["id-7"], False), ([""], True), ([], True)])
def test_what_does_not_tell_which_it_is_leaves_it_open(returns: Returns, ids: list[str], *, usable: bool) -> None:
    row = nameless(returns)
    show(returns, *ids, usable=usable)
    scheduled(returns)
    assert returns.world.row(row["id"]) == row


def test_what_was_bought_while_the_list_was_read_waits_for_the_next(returns: Returns) -> None:
    made: list[Row] = []

    def happens() -> None:
        if not made:
            returns.world.clock.advance(60)
            made.append(nameless(returns))

    show(returns, "id-7", meanwhile=happens)
    scheduled(returns)
    assert returns.world.row(made[0]["id"]) == made[0]
    returns.world.clock.advance(86_400)
    scheduled(returns)
    assert returns.world.row(made[0]["id"])["provider_number_id"] == "id-7"


def test_the_id_of_what_was_given_back_is_none(returns: Returns) -> None:
    first = returns.bought()
    returns.provider.answers.append(DONE)
    returns.ask(first)
    returns.settle(first)
    returns.world.clock.advance(600)
    row = nameless(returns)
    show(returns, first["provider_number_id"])
    scheduled(returns)
    assert returns.world.row(row["id"]) == row


@pytest.mark.parametrize("change", [{"provider_number_id": "own"}, {"status": Status.RELEASING}])
def test_what_has_moved_on_is_left_alone(returns: Returns, change: dict[str, str]) -> None:
    row = nameless(returns)
    show(returns, "id-7")
    report = compare.audit(returns.runtime, returns.world.binding)
    nameless(returns, number(1))
    with returns.world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**change))
    before = returns.world.row(row["id"])
    compare.adopt(returns.runtime, returns.world.binding, report, "ann")
    assert returns.world.row(row["id"]) == before


def test_all_are_found_in_steps(returns: Returns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.ledger.audit.differences.STEP", 2)
    rows = [nameless(returns, number(n)) for n in range(5)]
    shown = [OwnedNumber(number=row["number"], provider_number_id=f"id-{n}") for n, row in enumerate(rows)]
    last = differences.Shown()
    for one in shown:
        last.add(one)
    report = compare.audit(returns.runtime, returns.world.binding)
    walks = replace(report.walks, last=last)
    compare.adopt(returns.runtime, returns.world.binding, compare.Report(walks=walks, findings=[]), "ann")
    assert [returns.world.row(row["id"])["provider_number_id"] for row in rows] == [f"id-{n}" for n in range(5)]
