"""Looks at numbers by their orders, where a provider takes those and tells of them later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from schemas.outcomes import Look, LookKind

_FURTHEST_FIRST = (LookKind.OWNED, LookKind.PROCESSING, LookKind.UNCLEAR, LookKind.LOST, LookKind.REFUSED)


def furthest(orders: Iterable[Look]) -> Look | None:
    """Of several orders of a number the one that came furthest: it is refused where all of them are."""
    return min(orders, key=lambda order: _FURTHEST_FIRST.index(order.kind), default=None)


def both(order: Look | None, listed: Look) -> Look:
    """What orders and the list of owned numbers say together.

    The list shows what an order brought, but later; an order tells of what it still waits for, or why there is nothing.
    What is listed is of the order that says so, and of none that came to nothing.
    """
    if order is None:
        return listed
    if listed.kind is LookKind.OWNED:
        return replace(listed, provider_order_id=order.provider_order_id if order.kind is LookKind.OWNED else None)
    if order.kind is LookKind.PROCESSING or (order.kind is LookKind.UNCLEAR and listed.kind is not LookKind.PROCESSING):
        return order
    if listed.kind is not LookKind.ABSENT:
        return listed
    # An order that was delivered: the list is to show it.
    return replace(order, kind=LookKind.PROCESSING) if order.kind is LookKind.OWNED else order
