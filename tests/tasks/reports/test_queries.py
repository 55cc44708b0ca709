"""Reads for people and programs."""

from __future__ import annotations

from typing import Any

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.rows import new_id
from tasks.reports import queries
from tests.tasks.orders.test_orders import begin, run, submit
from tests.tasks.scripted_provider import REFUSED, UNKNOWN
from tests.tasks.support import World, number


def ask(world: World, query: Any, *args: Any, **kwargs: Any) -> Any:
    with world.runtime.database.read() as conn:
        found = query(conn, *args, **kwargs)
        return list(found) if not isinstance(found, dict | list | type(None)) else found


def test_counts_are_by_provider_and_status(world: World) -> None:
    world.accept(number(7), provider="twin")
    world.provider.script += [REFUSED]
    order_id = submit(world, 7, 1, 2)
    run(world)
    found = ask(world, queries.order_counts, order_id)
    assert sum(row["count"] for row in found) == 3
    assert {row["provider"] for row in found} == {"acme"}
    assert ask(world, queries.order_counts, new_id()) == []


def test_an_orders_results_come_in_the_files_order_with_their_metadata(world: World) -> None:
    world.accept(number(2), metadata={"whose": "another's"})
    order_id = begin(world, 3, 2, 1, metadata={"whose": "mine"})
    found = ask(world, queries.order_results, order_id)
    assert [row["number"] for row in found] == [number(3), number(2), number(1)]
    assert [row["line"] for row in found] == [1, 2, 3]
    assert [row["metadata"] for row in found] == [{"whose": "mine"}] * 3
    assert len(ask(world, queries.order_results, order_id, status=Status.DISPATCHED)) == 1


def test_orders_are_listed_newest_first(world: World) -> None:
    ids = []
    for n in range(3):
        ids.append(begin(world, n))
        world.clock.advance(1)
    assert [row["id"] for row in ask(world, queries.list_orders, 2)] == [ids[2], ids[1]]
    assert ask(world, queries.find_order, ids[0])["name"] == "file.csv"
    assert ask(world, queries.find_order, new_id()) is None


def test_purchases_are_listed_newest_first_and_by_any_column(world: World) -> None:
    world.provider.script += [REFUSED]
    rows = [world.accept(number(n)) for n in range(3)]
    world.work()
    assert [row["id"] for row in ask(world, queries.list_purchases, 2)] == [rows[2]["id"], rows[1]["id"]]
    [failed] = ask(world, queries.list_purchases, 9, status=Status.FAILED, provider="acme")
    assert failed["id"] == rows[0]["id"]


def test_the_calls_of_a_purchase_are_told_first_to_last(world: World) -> None:
    world.provider.script += [UNKNOWN]
    row = world.accept()
    world.settle(row["id"])
    found = ask(world, queries.attempts_of, row["id"])
    assert [one["outcome"] for one in found] == ["unknown", "purchased"]
    assert found[0]["revision"] < found[1]["revision"]


def test_everything_is_counted_and_every_providers_state_is_told(world: World) -> None:
    world.accept(number(1))
    world.work()
    world.accept(number(2))
    world.pause()
    found = {(row["provider"], row["status"]): row["count"] for row in ask(world, queries.status_counts)}
    assert found == {("acme", "purchased"): 1, ("acme", "queued"): 1}
    assert ask(world, queries.provider_states, world.runtime.accounts.values())["acme"]["cause"] == "account"


def test_what_is_under_way_is_counted_by_state(world: World) -> None:
    world.provider.script += [UNKNOWN]
    world.accept(number(1))
    world.work()
    world.accept(number(2))
    world.queued(number(3))
    assert ask(world, queries.open_counts) == {"acme": {"queued": 1, "running": 1, "followed": 1}}
    assert set(ask(world, queries.next_due, "acme", None)) == {"queued", "followed"}
    assert ask(world, queries.next_due, "twin", None) == {}


def test_living_numbers_of_an_account_are_told(world: World) -> None:
    world.accept(number(1))
    world.work()
    found = ask(world, queries.alive_purchases, "acme-account", [number(1), number(2)])
    assert found == {number(1): Status.PURCHASED}


def test_the_events_of_a_purchase_are_told_in_order(world: World) -> None:
    row = world.accept(number(1))
    world.accept(number(2))
    world.work()
    found = ask(world, queries.events_of, world.row(row["id"]))
    assert [one["type"].rsplit(".", 1)[1] for one in found] == ["accepted", "purchased"]


def test_ids_are_found_by_their_beginning_and_the_newest_first(world: World) -> None:
    with world.runtime.database.read() as conn:
        assert queries.latest_id(conn, PURCHASE) is None
    rows = [world.accept(number(n)) for n in range(3)]
    with world.runtime.database.read() as conn:
        assert queries.latest_id(conn, PURCHASE) == rows[-1]["id"]
        found = queries.ids_between(conn, PURCHASE, rows[0]["id"], rows[1]["id"], 9)
    assert found == [row["id"] for row in rows[:2]]
