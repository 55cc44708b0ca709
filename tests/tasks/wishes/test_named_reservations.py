"""Reservations that a purchase has to name: it does, and what is not needed is given back."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from schemas.outcomes import Outcome
from schemas.status import DEAD, Status
from schemas.tables.purchases import PURCHASE
from schemas.tables.wishes import RESERVATION, WISH, WishState
from tasks import orders
from tasks.ledger.orders import reservations
from tasks.ledger.queue import pausing
from tasks.wishes import unneeded
from tests.tasks.killing import killed_at, make_deadly
from tests.tasks.pools.supplying import area
from tests.tasks.scripted_provider import DENIED, REFUSED, THROTTLED, UNCLEAR, UNKNOWN
from tests.tasks.support import Killed, die
from tests.tasks.wishes.keeping import FOR, Keeper
from tests.tasks.wishes.wishing import Wishing


@pytest.fixture
def shop(world: Wishing) -> Keeper:
    """The first shop, which reserves by an id."""
    keeper = Keeper(world.clock, area(415, 60))
    first = replace(world.runtime.providers["first"], adapter=keeper)  # type: ignore[arg-type]
    world.runtime = replace(world.runtime, providers={**world.runtime.providers, "first": first})
    return keeper


def order(world: Wishing, count: int = 10, **fields: object) -> dict[str, object]:
    return world.wish(count, reserve=True, **fields)


def rows(world: Wishing) -> list[str]:
    """The numbers of the reservations that we know of."""
    return [row["number"] for row in world.rows(select(RESERVATION).order_by(RESERVATION.c.number))]


def clear_up(world: Wishing, minutes: int = 10) -> None:
    """Let workers look for some minutes."""
    for _ in range(minutes):
        world.later(minutes=1)
        world.turn()


def never_freed_while_needed(world: Wishing, shop: Keeper) -> None:
    def before(number: str) -> None:
        query = select(PURCHASE.c.id).where(PURCHASE.c.number == number, PURCHASE.c.status.not_in(DEAD))
        assert world.rows(query) == []

    shop.before = before


def test_what_is_reserved_is_bought_under_its_reservation(world: Wishing, shop: Keeper) -> None:
    world.until_completed(order(world))
    assert shop.ever == world.alive() == area(415, 10)
    assert {ask.number: ask.reservation for ask in shop.asks} == {
        number: f"kept-{place}" for place, number in enumerate(area(415, 10), 1)
    }
    clear_up(world)
    assert (rows(world), shop.cancelled, shop.kept) == ([], [], {})


def test_who_does_not_ask_for_it_reserves_nothing(world: Wishing, shop: Keeper) -> None:
    world.until_completed(world.wish(10))
    assert (shop.ever, len(world.alive()), {ask.reservation for ask in shop.asks}) == ([], 10, {None})


def test_what_is_not_to_be_had_is_passed_over_for_the_next(world: Wishing, shop: Keeper) -> None:
    shop.taken = {*area(415, 3)}
    wanted = order(world)
    world.search()
    assert world.state() == ("open", "first reserved 10 of 13: 3 passed over")
    world.until_completed(wanted)
    assert world.alive() == area(415, 13)[3:]
    assert {ask.number for ask in shop.asks} == {*world.alive()}


def test_one_in_doubt_is_passed_over_and_lapses(world: Wishing, shop: Keeper) -> None:
    """It may be kept under a name that nobody knows: whoever orders it is refused."""
    shop.unseen = {area(415, 1)[0]}
    wanted = order(world)
    world.search()
    assert world.state() == ("open", "first reserved 0 of 11: 1 passed over; read timed out")
    world.until_completed(wanted)
    assert world.alive() == area(415, 11)[1:]
    assert shop.holder(area(415, 1)[0])


@pytest.mark.parametrize("outcome", [THROTTLED, DENIED, REFUSED])
def test_where_nothing_is_reserved_all_is_bought_as_without(world: Wishing, shop: Keeper, outcome: Outcome) -> None:
    shop.fails = outcome
    world.until_completed(order(world))
    assert world.alive() == area(415, 10)
    assert {ask.reservation for ask in shop.asks} == {None}


def test_too_few_that_are_to_be_had_are_given_back(world: Wishing, shop: Keeper) -> None:
    shop.taken = {*area(415, 58)}
    order(world, 60, providers=["first"], at_least=3)
    clear_up(world)
    assert (world.state()[0], world.lines()) == ("failed", [])
    assert {*shop.cancelled} == {*area(415, 60)[58:]}
    assert (rows(world), shop.kept) == ([], {})


def test_an_order_that_is_cancelled_gives_back_what_it_reserved(world: Wishing, shop: Keeper) -> None:
    """Before its lines, while they wait, and in the midst of reserving."""
    never_freed_while_needed(world, shop)
    wanted = order(world)
    world.search()
    orders.cancel(world.runtime, str(wanted["id"]))
    other = order(world, key="other")
    world.points["reserving"] = lambda: orders.cancel(world.runtime, str(other["id"]))
    world.run_of(str(other["id"]))
    world.points.clear()
    assert len(shop.ever) == 11
    clear_up(world)
    assert (sorted(shop.cancelled), rows(world), shop.kept, world.alive()) == (sorted(shop.ever), [], {}, [])


def test_what_is_refused_is_given_back(world: Wishing, shop: Keeper) -> None:
    never_freed_while_needed(world, shop)
    shop.script.extend([REFUSED] * 2)
    world.until_completed(order(world))
    clear_up(world)
    assert len(world.alive()) == 10
    assert (len(shop.cancelled), rows(world), shop.kept) == (2, [], {})


def test_what_is_in_doubt_is_not_given_back(world: Wishing, shop: Keeper) -> None:
    shop.script.append(UNKNOWN)
    shop.looks.extend([UNCLEAR] * 1000)
    order(world, 1)
    clear_up(world, 60)
    assert [row["status"] for row in world.rows(select(PURCHASE))] == [Status.HELD]
    assert (shop.cancelled, rows(world)) == ([], area(415, 1))
    world.clock.advance(FOR)
    clear_up(world, 2)
    assert (shop.cancelled, rows(world)) == ([], [])


@pytest.mark.parametrize("commit", range(1, 11))
def test_whoever_dies_none_is_bought_twice_and_none_stays_reserved(world: Wishing, shop: Keeper, commit: int) -> None:
    never_freed_while_needed(world, shop)
    deadly = make_deadly(world)

    def order_and_search() -> None:
        order(world, 6)
        world.turn()

    assert killed_at(deadly, commit, order_and_search)
    wanted = order(world, 6)
    world.sent.clear()
    world.later(minutes=10)
    world.until_completed(wanted)
    clear_up(world)
    numbers = [number for number, _ in shop.charged]
    assert (len(world.alive()), len(numbers), len(set(numbers))) == (6, 6, 6)
    assert (rows(world), shop.kept) == ([], {})


def test_one_that_was_reserved_and_not_written_down_lapses(world: Wishing, shop: Keeper) -> None:
    world.points["reserving"] = die
    wanted = order(world)
    with pytest.raises(Killed):
        world.search()
    world.points.clear()
    world.later(minutes=1)
    world.until_completed(wanted)
    clear_up(world)
    lost = area(415, 1)[0]
    assert (rows(world), shop.holder(lost) is not None, lost in world.alive()) == ([], True, False)
    assert len(world.alive()) == 10


@pytest.mark.parametrize(("hours", "named", "replaced"), [(3, 3, 0), (3.75, 0, 3), (5, 0, 0)])
def test_an_old_reservation_is_not_named(world: Wishing, shop: Keeper, hours: float, named: int, replaced: int) -> None:
    """What an order comes to that names one which has lapsed is not documented."""
    wanted = order(world, 3, providers=["first"])
    world.search()
    world.stop_provider("first")
    world.later(hours=hours)
    with world.write() as conn:
        pausing.resume(conn, "first", world.clock(), by_machine=False)
    world.until_completed(wanted)
    first = {ask.number: ask.reservation for ask in shop.asks if ask.number in area(415, 3)}
    assert len(list(filter(None, first.values()))) == named
    assert world.tally().refused == replaced
    assert len(world.alive()) == 3


def test_a_reservation_that_cannot_be_given_back_is_left_after_some_tries(
    world: Wishing, shop: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    shop.deaf = UNKNOWN
    wanted = order(world, 1)
    world.search()
    orders.cancel(world.runtime, str(wanted["id"]))
    with caplog.at_level(logging.WARNING):
        clear_up(world, 60)
    told = [one for one in caplog.messages if "may stand" in one]
    assert len(told) == reservations.MOST_TRIES
    assert "read timed out" in told[0]
    shop.deaf = None
    clear_up(world, 60)
    assert (rows(world), shop.cancelled) == (area(415, 1), [])
    world.clock.advance(FOR)
    clear_up(world, 2)
    assert rows(world) == []


def test_at_an_account_that_is_configured_no_more_it_lapses(world: Wishing, shop: Keeper) -> None:
    wanted = order(world, 1)
    world.search()
    orders.cancel(world.runtime, str(wanted["id"]))
    with world.write() as conn:
        conn.execute(update(RESERVATION).values(account="another"))
    clear_up(world, 30)
    assert (shop.cancelled, rows(world)) == ([], area(415, 1))


def test_a_name_that_comes_twice_is_not_believed(world: Wishing, shop: Keeper) -> None:
    class Liar(Keeper):
        def reserve(self, numbers: object) -> dict[str, str | None]:
            return dict.fromkeys(super().reserve(numbers), "always")  # type: ignore[arg-type]

    shop.__class__ = Liar
    order(world, 3)
    world.search()
    assert len(rows(world)) == 1
    assert world.state() == ("open", "first reserved 1 of 3")


def test_one_that_is_being_given_back_is_not_named(world: Wishing, shop: Keeper) -> None:
    wanted = order(world, 1, providers=["first"])
    world.search()
    with world.write() as conn:
        conn.execute(update(RESERVATION).values(cancelling=True))
    world.until_completed(wanted)
    assert {ask.reservation for ask in shop.asks if ask.number == area(415, 1)[0]} == {None}
    assert len(world.alive()) == 1


def test_what_is_reserved_is_given_back_only_once_its_run_is_over(world: Wishing, shop: Keeper) -> None:
    order(world, 1)
    world.search()
    now = world.clock.moment + reservations.LOOK_AGAIN
    with world.write() as conn:
        conn.execute(update(RESERVATION).values(purchase_id=None))
        conn.execute(update(PURCHASE).values(status=Status.FAILED))
        conn.execute(update(WISH).values(state=str(WishState.OPEN), leased_until=now + timedelta(seconds=1)))
        assert reservations.take_due(conn, now) == []
        later = now + reservations.LOOK_AGAIN
        assert [row["number"] for row in reservations.take_due(conn, later)] == shop.ever == area(415, 1)


def test_what_another_purchase_of_the_number_may_have_bought_is_not_given_back(world: Wishing, shop: Keeper) -> None:
    order(world, 1)
    world.search()
    [mine] = world.lines()
    with world.write() as conn:
        conn.execute(update(RESERVATION).values(purchase_id=None))
        conn.execute(update(WISH).values(state=str(WishState.SHORT)))
    world.later(seconds=reservations.LOOK_AGAIN.total_seconds())
    unneeded.look(world.runtime)
    assert (shop.cancelled, len(rows(world)), mine["number"]) == ([], 1, area(415, 1)[0])
