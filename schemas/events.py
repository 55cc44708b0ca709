"""Events as CloudEvents 1.0 in JSON, and their types."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from schemas.settling import Finding, FindingKind
from schemas.status import Status

STREAM = "dialstock:results"
CHANNEL = "dialstock.results"
ORDERS_SOURCE = "/dialstock/orders"

STREAM_LENGTH = 1_000_000
"""About how many events the stream keeps, unless DIALSTOCK_STREAM_LENGTH says otherwise."""


class EventType(StrEnum):
    """The types of the results channel."""

    PURCHASED = "dialstock.purchase.purchased"
    FAILED = "dialstock.purchase.failed"
    HELD = "dialstock.purchase.held"
    CANCELLED = "dialstock.purchase.cancelled"
    RELEASED = "dialstock.purchase.released"
    KEPT = "dialstock.purchase.kept"
    CHARGED_TWICE = "dialstock.purchase.charged_twice"
    ORDER_COMPLETED = "dialstock.order.completed"
    ORDER_UPDATED = "dialstock.order.updated"
    ACCEPTED = "dialstock.request.accepted"
    REJECTED = "dialstock.request.rejected"
    PROVIDER_PAUSED = "dialstock.provider.paused"
    PROVIDER_RESUMED = "dialstock.provider.resumed"
    PROVIDER_LOW_BALANCE = "dialstock.provider.low_balance"
    AUDIT_ORPHAN = "dialstock.audit.orphan"
    AUDIT_EVIDENCE = "dialstock.audit.evidence"
    AUDIT_MISSING = "dialstock.audit.missing"
    AUDIT_ABSENT = "dialstock.audit.absent"
    AUDIT_CHARGED_TWICE = "dialstock.audit.charged_twice"
    POOL_TAKEN = "dialstock.pool.taken"
    POOL_RETURNED = "dialstock.pool.returned"
    POOL_REFUSED = "dialstock.pool.refused"
    POOL_EXHAUSTED = "dialstock.pool.exhausted"
    POOL_BLOCKED = "dialstock.pool.blocked"
    POOL_RECOVERED = "dialstock.pool.recovered"


EVENT_OF: dict[Status, EventType] = {
    Status.PURCHASED: EventType.PURCHASED,
    Status.FAILED: EventType.FAILED,
    Status.HELD: EventType.HELD,
    Status.CANCELLED: EventType.CANCELLED,
    Status.RELEASED: EventType.RELEASED,
}
"""The event that each status is told by; the other statuses are told by none."""

EVENT_OF_FINDING: dict[FindingKind, EventType] = {
    FindingKind.ORPHAN: EventType.AUDIT_ORPHAN,
    FindingKind.EVIDENCE: EventType.AUDIT_EVIDENCE,
    FindingKind.MISSING: EventType.AUDIT_MISSING,
    FindingKind.ABSENT: EventType.AUDIT_ABSENT,
    FindingKind.CHARGED_TWICE: EventType.AUDIT_CHARGED_TWICE,
}
"""The event that a new finding of a scheduled audit is told by."""

_PURCHASE_FIELDS = (
    "order_id",
    "idempotency_key",
    "number",
    "provider",
    "status",
    "success",
    "error",
    "error_code",
    "already_owned",
    "provider_number_id",
    "attempts",
    "monthly_price",
    "setup_price",
    "currency",
)


def provider_source(alias: str) -> str:
    """The `source` of a provider's purchases."""
    return f"/dialstock/providers/{alias}"


def pool_source(name: str) -> str:
    """The `source` of a pool's events."""
    return f"/dialstock/pools/{name}"


def purchase_data(row: Mapping[str, Any]) -> dict[str, Any]:
    """The `data` of a purchase's event, from its row."""
    data = {"purchase_id": row["id"], **{name: row[name] for name in _PURCHASE_FIELDS}}
    return {**data, "metadata": row["metadata"]}


def finding_data(finding: Finding) -> dict[str, Any]:
    """The `data` of a finding's event, and what `dialstock audit --json` shows of it."""
    return {
        "kind": str(finding.kind),
        "number": finding.number,
        "provider": finding.provider,
        "purchase_id": finding.purchase_id,
        "status": finding.status,
        "provider_number_ids": list(finding.provider_number_ids),
        "usable": finding.usable,
    }


def cloud_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """An outbox row as a CloudEvents 1.0 JSON object.

    `sequence` is the CloudEvents extension of that name, a string that sorts: it rises within one purchase, and
    is the same for those that tell several requesters of one step. `traceparent` is another, that of the request's
    trace: https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/distributed-tracing.md
    """
    event = {
        "specversion": "1.0",
        "id": row["id"],
        "source": row["source"],
        "type": row["type"],
        "time": utc_text(row["time"]),
        "datacontenttype": "application/json",
        "subject": row["subject"],
        "sequence": None if row["sequence"] is None else f"{row['sequence']:010d}",
        "traceparent": row["traceparent"],
        "data": row["data"],
    }
    return {name: value for name, value in event.items() if value is not None}


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC with a Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
