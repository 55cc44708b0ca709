"""A message of each task, and an event of each type, as they are: each holds to its own schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.events import ORDERS_SOURCE, EventType, pool_source, provider_source
from tasks.messages.public_names import (
    BUY_NUMBER,
    ORDER_NUMBERS,
    RELEASE_NUMBER,
    RETURN_NUMBER,
    SUBMIT_ORDER,
    TAKE_NUMBER,
)

E = EventType

_ID = "01a1fc17-6d1e-7b43-9d55-0c8d2f1a4e0{}"
_NUMBER, _ALIAS, _POOL = "+14155550100", "main", "support"
_PROVIDERS_ID = "a0c1f5de-5f0c-4d2c-9b1e-3f7f0d3a9c11"

REQUESTS: dict[str, dict[str, Any]] = {
    BUY_NUMBER: {
        "number": _NUMBER,
        "provider": _ALIAS,
        "idempotency_key": "crm-4711",
        "metadata": {"customer": 7},
    },
    SUBMIT_ORDER: {
        "requests": [
            {"number": _NUMBER, "provider": _ALIAS, "idempotency_key": "crm-4711"},
            {"number": "+14155550101", "provider": "second"},
        ],
        "idempotency_key": "crm-order-12",
        "metadata": {"campaign": "spring"},
    },
    ORDER_NUMBERS: {
        "count": 20,
        "country": "US",
        "prefix": ["415", "212:5"],
        "features": ["voice", "sms"],
        "providers": ["main", "second"],
        "max_price": "1.50 USD",
        "idempotency_key": "crm-order-13",
    },
    TAKE_NUMBER: {"pool": _POOL, "count": 1, "request_id": "crm-4712", "taker": "crm"},
    RETURN_NUMBER: {"pool": _POOL, "number": _NUMBER, "request_id": "crm-4713", "taker": "crm"},
    RELEASE_NUMBER: {"number": _NUMBER, "provider": _ALIAS, "idempotency_key": "crm-4714"},
}
"""The keyword arguments of each task."""

_PURCHASE = {
    "purchase_id": _ID.format(1),
    "order_id": None,
    "idempotency_key": "crm-4711",
    "number": _NUMBER,
    "provider": _ALIAS,
    "status": "purchased",
    "success": True,
    "error": None,
    "error_code": None,
    "already_owned": False,
    "provider_number_id": _PROVIDERS_ID,
    "attempts": 1,
    "monthly_price": None,
    "setup_price": None,
    "currency": None,
    "metadata": {"customer": 7},
}
_OPEN = {**_PURCHASE, "success": None, "provider_number_id": None, "attempts": 0}
_RELEASE = {"idempotency_key": "crm-4714", "metadata": {}, "release_id": _ID.format(2)}
_ORDER = {
    "order_id": _ID.format(3),
    "name": None,
    "idempotency_key": "crm-order-12",
    "lines": 2,
    "counts": {"purchased": 1, "held": 1},
    "metadata": {"campaign": "spring"},
}
_PAUSE = {
    "provider": _ALIAS,
    "reason": "HTTP 402: the balance is too low",
    "cause": "account",
    "paused_at": "2026-01-31T12:00:00.000000Z",
    "probe_at": "2026-01-31T12:05:00.000000Z",
}
_FINDING = {
    "finding_id": _ID.format(4),
    "number": _NUMBER,
    "provider": _ALIAS,
    "purchase_id": _ID.format(1),
    "status": "purchased",
    "provider_number_ids": [],
    "usable": True,
}
_ANSWER = {
    "request_id": "crm-4712",
    "pool": _POOL,
    "taker": "crm",
    "success": True,
    "error": None,
    "error_code": None,
    "metadata": {},
    "repeat": False,
    "numbers": [
        {
            "number": _NUMBER,
            "provider": _ALIAS,
            "provider_number_id": _PROVIDERS_ID,
            "purchase_id": _ID.format(1),
        }
    ],
}
_LEVEL = {"pool": _POOL, "available": 12, "on_the_way": 0, "held": 0, "wanted": 38, "low": 20, "target": 50}
_EMPTY = {"success": False, "error": "the pool 'support' is empty", "error_code": "pool_empty", "numbers": []}

_DATA: dict[EventType, dict[str, Any]] = {
    E.PURCHASED: _PURCHASE,
    E.FAILED: {
        **_OPEN,
        "status": "failed",
        "success": False,
        "attempts": 1,
        "error": "HTTP 422: the number is taken",
        "error_code": "number_taken",
    },
    E.HELD: {**_OPEN, "status": "held", "attempts": 1, "error": "no answer within 30 s", "error_code": "timeout"},
    E.CANCELLED: {**_OPEN, "status": "cancelled", "success": False},
    E.RELEASED: {**_PURCHASE, **_RELEASE, "status": "released", "release_status": "released"},
    E.KEPT: {
        **_PURCHASE,
        **_RELEASE,
        "release_status": "kept",
        "error": "kept after all",
        "error_code": "called_off",
    },
    E.CHARGED_TWICE: {
        **_PURCHASE,
        "attempts": 2,
        "provider_number_ids": [_PROVIDERS_ID, None],
    },
    E.ORDER_COMPLETED: _ORDER,
    E.ORDER_UPDATED: {**_ORDER, "counts": {"purchased": 2}},
    E.ACCEPTED: {**_OPEN, "status": "dispatched", "repeat": False},
    E.REJECTED: {
        "request_id": _ID.format(5),
        "rejected_id": _ID.format(5),
        "message_id": _ID.format(6),
        "task": BUY_NUMBER,
        "error": "provider: 'mian' is not configured: did you mean 'main'?",
        "error_code": "unknown_provider",
        "number": _NUMBER,
        "provider": "signalwir",
    },
    E.PROVIDER_PAUSED: _PAUSE,
    E.PROVIDER_RESUMED: _PAUSE,
    E.PROVIDER_LOW_BALANCE: {"provider": _ALIAS, "balance": "4.20", "low_balance": "10", "currency": "USD"},
    E.AUDIT_ORPHAN: {
        **_FINDING,
        "kind": "orphan",
        "purchase_id": None,
        "status": None,
        "provider_number_ids": [_PROVIDERS_ID],
    },
    E.AUDIT_EVIDENCE: {**_FINDING, "kind": "evidence", "status": "held", "provider_number_ids": [_PROVIDERS_ID]},
    E.AUDIT_MISSING: {**_FINDING, "kind": "missing"},
    E.AUDIT_ABSENT: {**_FINDING, "kind": "absent", "status": "held"},
    E.AUDIT_CHARGED_TWICE: {**_FINDING, "kind": "charged_twice", "provider_number_ids": [_PROVIDERS_ID, "b7d2"]},
    E.POOL_TAKEN: _ANSWER,
    E.POOL_RETURNED: {**_ANSWER, "request_id": "crm-4713"},
    E.POOL_REFUSED: {**_ANSWER, **_EMPTY, "task": "take"},
    E.POOL_EXHAUSTED: {**_LEVEL, "status": "exhausted", "reason": "main: no numbers found"},
    E.POOL_BLOCKED: {**_LEVEL, "status": "blocked", "reason": "5 purchases wait at main, which is paused"},
    E.POOL_RECOVERED: {**_LEVEL, "status": "ok", "reason": None, "available": 50, "wanted": None},
}


def event(kind: EventType) -> dict[str, Any]:
    """A CloudEvent of that type."""
    data = _DATA[kind]
    source, subject = _about(kind, data)
    told = {
        "specversion": "1.0",
        "id": _ID.format(9),
        "source": source,
        "type": str(kind),
        "time": "2026-01-31T12:00:03.250000Z",
        "datacontenttype": "application/json",
        "subject": subject,
        "sequence": "0000000003" if "purchase_id" in data and "finding_id" not in data else None,
        "data": data,
    }
    return {name: value for name, value in told.items() if value is not None}


def _about(kind: EventType, data: Mapping[str, Any]) -> tuple[str, str | None]:
    """Its `source` and `subject`."""
    match kind.split(".")[1]:
        case "pool":
            return pool_source(data["pool"]), data["pool"]
        case "order":
            return ORDERS_SOURCE, data["order_id"]
        case "provider":
            return provider_source(data["provider"]), None
    source = ORDERS_SOURCE if kind is E.REJECTED else provider_source(data["provider"])
    return source, data["number"]
