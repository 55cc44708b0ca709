"""Whether a request was answered before: what is delivered again must get no other answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select

from schemas.plain import is_storable, shown, written
from schemas.pool_tables import POOL_REQUEST
from schemas.status import OrderStatus
from schemas.tables import KEY, ORDER, REJECTED
from tasks.accepting import MAX_BODY
from tasks.runtime import Runtime

_ORDERED = and_(ORDER.c.status != OrderStatus.LOADING, ORDER.c.status != OrderStatus.ABANDONED)


def accepted_before(runtime: Runtime, fields: Mapping[str, Any], message_id: object) -> bool:
    """Whether it was accepted, done or refused, under its own key or its message's id."""
    keys = [key for key in (fields.get("idempotency_key"), fields.get("request_id")) if key is not None] or [message_id]
    known = [key for key in keys if is_storable(key)]
    with runtime.database.read() as conn:
        return any(
            _there(conn, condition)
            for condition in (
                KEY.c.idempotency_key.in_(known),
                and_(ORDER.c.idempotency_key.in_(known), _ORDERED),
                POOL_REQUEST.c.request_id.in_(known),
            )
        )


def rejected_before(runtime: Runtime, task: object, message_id: object, body: Any) -> bool:
    """Whether this very message was rejected."""
    at = REJECTED.c
    same = and_(
        at.message_id == shown(message_id, 200), at.task == shown(task, 200), at.body == written(body)[:MAX_BODY]
    )
    with runtime.database.read() as conn:
        return _there(conn, same)


def _there(conn: Connection, condition: ColumnElement[bool]) -> bool:
    return conn.execute(select(1).where(condition).limit(1)).first() is not None
