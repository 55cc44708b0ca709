"""Accepting an order by criteria: its wishes and the order are there at once, under its key, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from schemas.by_criteria.criteria import Criteria
from schemas.by_criteria.wishes import Wish, cannot, fingerprint_of, parse_numbers_order
from schemas.money import Money
from schemas.outcomes import clip
from schemas.requests import MAX_NAME, RequestError, key_of_message
from tasks.ledger.orders.wishes import insert_wishes
from tasks.ledger.requests.accept import begin_order, open_order
from tasks.ledger.rows import Row, new_id
from tasks.orders import tell_order_accepted
from tasks.runtime import Runtime


def order_numbers(runtime: Runtime, fields: Mapping[str, Any], message_id: object) -> Row:
    """Accept an order by criteria of one message; delivered again it is the same order. Raises RequestError."""
    order, wishes = parse_numbers_order(fields, runtime.kinds)
    key = order.idempotency_key or key_of_message(message_id)
    return begin(runtime, wishes, key=key, metadata=order.metadata, max_spend=order.max_spend)


def begin(
    runtime: Runtime,
    wishes: Sequence[Wish],
    *,
    key: str | None,
    metadata: Mapping[str, Any],
    name: str | None = None,
    max_spend: Money | None = None,
) -> Row:
    """Begin an order of *wishes*, or find the one with the same key; its numbers are found by the workers.

    The order buys no more than all of them count together, and spends no more than *max_spend*, whatever becomes of
    its lines. Returns the order's row,
    with `created`. Raises RequestError (key_conflict, and invalid_request where no provider can be searched).
    """
    found = [resolved(runtime, wish, max_spend) for wish in wishes]
    order_id = new_id()
    values = {
        "id": order_id,
        "name": clip(name, MAX_NAME),
        "max_purchases": sum(wish.count for wish in wishes),
        "max_spend": None if max_spend is None else str(max_spend),
        "idempotency_key": key,
        "fingerprint": fingerprint_of(wishes, metadata, max_spend),
        "metadata": dict(metadata),
    }

    def accept(conn: Connection) -> Row:
        now = runtime.now()
        order = begin_order(conn, values, now)
        created = order["id"] == order_id
        if created:
            insert_wishes(conn, [_row(order_id, n, wish) for n, wish in enumerate(found, 1)], now)
            open_order(conn, order_id, now)
        tell_order_accepted(conn, order["id"], now, repeat=not created)
        return {**order, "created": created}

    order = runtime.database.run(accept)
    runtime.reached("accepted")
    return order


def resolved(runtime: Runtime, wish: Wish, max_spend: Money | None = None) -> Wish:
    """The wish with all providers of the file where it names none. Raises RequestError where none can be searched."""
    if wish.criteria.providers:
        return wish
    criteria = wish.criteria.model_copy(update={"providers": tuple(runtime.providers)})
    problems = {alias: cannot(runtime.kinds[alias], criteria, max_spend) for alias in criteria.providers}
    if all(problems.values()):
        told = "; ".join(f"{alias} {problem}" for alias, problem in problems.items())
        message = f"none of the configured can be searched for {_asked(criteria, max_spend)}: {told or 'there is none'}"
        raise RequestError(f"providers: {message}", problems=(("providers", message),))
    return replace(wish, criteria=criteria)


def _asked(criteria: Criteria, max_spend: Money | None) -> str:
    return f"{criteria}{' by price' if criteria.by_price or max_spend else ''}"


def _row(order_id: str, position: int, wish: Wish) -> Row:
    return {
        "order_id": order_id,
        "position": position,
        "count": wish.count,
        "at_least": wish.at_least,
        "reserve": wish.reserve,
        "criteria": wish.criteria.model_dump(mode="json"),
        "metadata": dict(wish.metadata),
    }
