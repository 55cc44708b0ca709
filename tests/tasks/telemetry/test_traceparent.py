"""A caller's trace is kept with what it asked for, and goes out with each event of it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from schemas.events import cloud_event
from schemas.tables.purchases import EVENT, KEY
from tasks import orders
from tasks.telemetry.traceparent import present, read, within
from tests.tasks.orders.test_orders import run
from tests.tasks.support import World, number

FIRST = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECOND = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def told(world: World) -> list[tuple[str, str | None, str | None]]:
    """The type of each event, whom it is for, and its trace."""
    found = map(cloud_event, world.rows(select(EVENT).order_by(EVENT.c.seq)))
    return [(one["type"], one["data"].get("idempotency_key"), one.get("traceparent")) for one in found]


@pytest.mark.parametrize("value", [FIRST, SECOND])
def test_a_traceparent_is_read_as_it_is(value: str) -> None:
    assert read(value) == value


@pytest.mark.parametrize("more", ["", "-", "-and-more"])
def test_of_a_later_version_what_version_00_has_is_read(more: str) -> None:
    assert read(f"cc{FIRST[2:]}{more}") == FIRST


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        {"traceparent": FIRST},
        [FIRST],
        "",
        f"{FIRST}\n",
        f"{FIRST}-more",
        FIRST.upper(),
        FIRST[:-1],
        f"ff{FIRST[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        "00-" + "4" * 100_000,
    ],
    ids=str,
)
def test_what_is_none_is_passed_over(value: object) -> None:
    assert read(value) is None


def test_it_ends_with_its_message() -> None:
    with within(FIRST), within(SECOND):
        assert present() == SECOND
    assert present() is None


def test_a_purchase_carries_its_callers_trace_to_its_last_event(world: World) -> None:
    with within(FIRST):
        world.accept(idempotency_key="a")
    world.work()
    assert told(world) == [
        ("dialstock.request.accepted", "a", FIRST),
        ("dialstock.purchase.purchased", "a", FIRST),
    ]


def test_without_a_trace_the_events_have_no_field_of_it(world: World) -> None:
    world.accept()
    world.work()
    assert all("traceparent" not in cloud_event(one) for one in world.rows(select(EVENT)))


@pytest.mark.parametrize("other", [SECOND, None])
def test_who_joins_a_purchase_is_told_in_his_own_trace(world: World, other: str | None) -> None:
    with within(FIRST):
        world.accept(idempotency_key="a")
    with within(other):
        world.accept(idempotency_key="b")
    world.work()
    with within(other):
        world.accept(idempotency_key="c")
    assert [trace for _, key, trace in told(world) if key == "a"] == [FIRST, FIRST]
    assert [trace for _, key, trace in told(world) if key == "b"] == [other, other]
    assert [trace for _, key, trace in told(world) if key == "c"] == [other, other]
    [kept] = world.rows(select(KEY.c.traceparent).where(KEY.c.idempotency_key == "a"))
    assert kept["traceparent"] is None


def test_an_order_and_its_lines_are_of_one_trace(world: World) -> None:
    with within(FIRST):
        wanted = [{"number": number(n), "provider": "acme"} for n in (1, 2)]
        orders.submit_order(world.runtime, {"requests": wanted}, "message-1")
    run(world)
    kinds = [(kind, trace) for kind, _, trace in told(world)]
    assert kinds == [
        ("dialstock.request.accepted", FIRST),
        ("dialstock.purchase.purchased", FIRST),
        ("dialstock.purchase.purchased", FIRST),
        ("dialstock.order.completed", FIRST),
    ]
