"""For how long an order that may buy no more is not counted again."""

from __future__ import annotations

from tasks.policies.full_orders import REMEMBERED, FullOrders


def test_a_full_order_is_remembered_for_a_second() -> None:
    now = [1_000.0]
    full = FullOrders(lambda: now[0])
    full.note("one")
    now[0] += REMEMBERED / 2
    full.note("two")
    assert full.known() == ["one", "two"]
    now[0] += REMEMBERED / 2
    assert full.known() == ["two"]
    now[0] += REMEMBERED / 2
    assert full.known() == []


def test_a_clock_that_was_set_back_has_them_counted() -> None:
    now = [1_000.0]
    full = FullOrders(lambda: now[0])
    full.note("one")
    now[0] -= 1
    assert full.known() == []
