"""Whether a request was answered before: what is delivered again must get no other answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, and_, select

from schemas.by_criteria.wishes import OrderNumbers
from schemas.plain import is_storable, shown, written
from schemas.pool_requests import ReturnNumber, TakeNumber
from schemas.releasing import ReleaseNumber
from schemas.requests import BuyNumber, RequestError, SubmitOrder, parse_buy, parse_order
from schemas.status import OrderStatus
from schemas.tables.pools import POOL_REQUEST
from schemas.tables.purchases import KEY, ORDER, REJECTED
from tasks.ledger.releases.keys import ASKED
from tasks.lifecycle.accept import MAX_BODY
from tasks.messages.public_names import (
    BUY_NUMBER,
    ORDER_NUMBERS,
    RELEASE_NUMBER,
    RETURN_NUMBER,
    SUBMIT_ORDER,
    TAKE_NUMBER,
)
from tasks.pools.requests.take_and_return import known_as
from tasks.runtime import Runtime

Request = BuyNumber | SubmitOrder | OrderNumbers | TakeNumber | ReturnNumber | ReleaseNumber

_MODELS: Mapping[str, type[Request]] = {
    BUY_NUMBER: BuyNumber,
    SUBMIT_ORDER: SubmitOrder,
    ORDER_NUMBERS: OrderNumbers,
    TAKE_NUMBER: TakeNumber,
    RETURN_NUMBER: ReturnNumber,
    RELEASE_NUMBER: ReleaseNumber,
}
_PARSERS: Mapping[str, Callable[..., BuyNumber | SubmitOrder]] = {BUY_NUMBER: parse_buy, SUBMIT_ORDER: parse_order}


def accepted_before(runtime: Runtime, task: str, fields: Mapping[str, Any], message_id: object) -> bool:
    """Whether this very request was accepted, done or refused, under its own key or its message's id.

    Another request with its key was not: what is asked for counts, as it counts where a key comes again.
    """
    request = _read(runtime, task, fields)
    key = message_id if request is None else _key(request) or message_id
    if request is None or not is_storable(key):
        return False
    try:
        answered = _answered(request, key)
    except RequestError:
        return False
    with runtime.database.read() as conn:
        return _there(conn, answered)


def rejected_before(runtime: Runtime, task: object, message_id: object, body: Any) -> bool:
    """Whether this very message was rejected."""
    at = REJECTED.c
    same = and_(
        at.message_id == shown(message_id, 200), at.task == shown(task, 200), at.body == written(body)[:MAX_BODY]
    )
    with runtime.database.read() as conn:
        return _there(conn, same)


def _read(runtime: Runtime, task: str, fields: Mapping[str, Any]) -> Request | None:
    """The request, None where it never was one; what it names may have left the configuration since."""
    try:
        if task in _PARSERS:
            return _PARSERS[task](fields, runtime.kinds)
    except RequestError:
        pass
    try:
        return _MODELS[task].model_validate(dict(fields))
    except ValidationError:
        return None


def _key(request: Request) -> str | None:
    return request.request_id if isinstance(request, TakeNumber | ReturnNumber) else request.idempotency_key


def _answered(request: Request, key: str) -> ColumnElement[bool]:
    if isinstance(request, BuyNumber):
        return and_(KEY.c.idempotency_key == key, KEY.c.fingerprint == request.fingerprint)
    if isinstance(request, SubmitOrder | OrderNumbers):
        whole = (ORDER.c.status != OrderStatus.LOADING, ORDER.c.status != OrderStatus.ABANDONED)
        return and_(ORDER.c.idempotency_key == key, ORDER.c.fingerprint == request.fingerprint, *whole)
    if isinstance(request, ReleaseNumber):
        return and_(ASKED.c.idempotency_key == key, ASKED.c.fingerprint == request.fingerprint)
    return and_(POOL_REQUEST.c.request_id == known_as(key), POOL_REQUEST.c.fingerprint == request.fingerprint)


def _there(conn: Connection, condition: ColumnElement[bool]) -> bool:
    return conn.execute(select(1).where(condition).limit(1)).first() is not None
