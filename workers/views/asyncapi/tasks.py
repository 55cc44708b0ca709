"""The public tasks: what each does, the model that checks its arguments, and the events that answer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from schemas.by_criteria.wishes import OrderNumbers
from schemas.events import EventType
from schemas.pool_requests import ReturnNumber, TakeNumber
from schemas.releasing import ReleaseNumber
from schemas.requests import BuyNumber, SubmitOrder
from tasks.messages.public_names import (
    BUY_NUMBER,
    ORDER_NUMBERS,
    RELEASE_NUMBER,
    RETURN_NUMBER,
    SUBMIT_ORDER,
    TAKE_NUMBER,
)

E = EventType

_REQUEST = (E.ACCEPTED, E.REJECTED)
_PURCHASE = (E.PURCHASED, E.FAILED, E.HELD, E.CANCELLED)
_ORDER = (E.ORDER_COMPLETED, E.ORDER_UPDATED)


@dataclass(frozen=True)
class PublicTask:
    """A task that callers name."""

    does: str
    model: type[BaseModel]
    answers: tuple[EventType, ...]

    @property
    def key(self) -> str:
        """The field that names a request, and its answers."""
        return "idempotency_key" if "idempotency_key" in self.model.model_fields else "request_id"


TASKS: dict[str, PublicTask] = {
    BUY_NUMBER: PublicTask("Buys one number.", BuyNumber, (*_REQUEST, *_PURCHASE)),
    SUBMIT_ORDER: PublicTask(
        "Buys many numbers, as one order: all of its requests are accepted, or none.",
        SubmitOrder,
        (*_REQUEST, *_PURCHASE, *_ORDER),
    ),
    ORDER_NUMBERS: PublicTask(
        "Has numbers searched for by criteria and bought, never more than `count`.",
        OrderNumbers,
        (*_REQUEST, *_PURCHASE, *_ORDER),
    ),
    TAKE_NUMBER: PublicTask(
        "Takes numbers out of a pool: all of them, or none.", TakeNumber, (E.POOL_TAKEN, E.POOL_REFUSED, E.REJECTED)
    ),
    RETURN_NUMBER: PublicTask(
        "Gives a number back to its pool.", ReturnNumber, (E.POOL_RETURNED, E.POOL_REFUSED, E.REJECTED)
    ),
    RELEASE_NUMBER: PublicTask(
        "Gives a bought number back to its provider.", ReleaseNumber, (*_REQUEST, E.RELEASED, E.KEPT)
    ),
}
"""By name."""

TRACEPARENT: dict[str, Any] = {
    "type": "string",
    "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
}
"""Of a trace: https://www.w3.org/TR/trace-context/"""

HEADERS: dict[str, Any] = {
    "type": "object",
    "required": ["task", "id"],
    "properties": {
        "lang": {"type": "string"},
        "task": {"type": "string"},
        "id": {"type": "string", "description": "of the message: 200 characters at most, where it is to be the key"},
        "root_id": {"type": ["string", "null"]},
        "parent_id": {"type": ["string", "null"]},
        "group": {"type": ["string", "null"]},
        "expires": {"type": ["string", "null"], "description": "after it, the message is rejected as `expired`"},
        "traceparent": {**TRACEPARENT, "description": "of the caller's trace; another form is passed over"},
    },
}
"""What Celery's protocol 2 has beside the body: https://docs.celeryq.dev/en/stable/internals/protocol.html"""

EMBEDDED: dict[str, Any] = {
    "type": "object",
    "description": "Celery's own: nothing of it is used",
    "properties": {name: {} for name in ("callbacks", "errbacks", "chain", "chord")},
}
