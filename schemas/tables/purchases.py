"""The tables. People query them by hand: plain names, ids with dashes, statuses as lower-case text, UTC times."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Boolean, CheckConstraint, Column, Index, String, Text, false, text, true
from sqlmodel import Field, SQLModel

from schemas.settling import Verdict
from schemas.status import DEAD, OrderStatus, Status
from schemas.tables.columns import DOCUMENT, ID, SEQUENCE, Amount, quoted, where

_ALIVE = f"status NOT IN ({quoted(DEAD)})"
_QUEUED = "status = 'queued'"
_RUNNING = "status IN ('dispatched', 'purchasing')"
_FOLLOWED = "status IN ('processing', 'unknown')"
_HELD = "status = 'held'"
_NOT_BOUGHT = "status IN ('cancelled', 'failed', 'released', 'releasing')"
_POOLED = "pool IS NOT NULL"


class Purchase(SQLModel, table=True):
    """One number to buy, from acceptance to its end. Only `tasks.ledger` changes it.

    Beside the public columns: `doubt` is true once any call may have been executed without an answer; `looks` and
    `look_failures` count what the provider was asked since; `call_deadline` is the end of the last call;
    `tried_seconds` is the time spent trying, pauses and pace left out; `joined` is true once a further request was
    answered with it, whose key and metadata stand in `purchase_key`; `pool` is the pool that ordered it; `traceparent`
    is that of its caller's trace, or of our span in it.
    """

    __tablename__: ClassVar[str] = "purchase"
    __table_args__ = (
        CheckConstraint(f"status IN ({quoted(Status)})", name="purchase_status"),
        Index("purchase_alive", "account", "number", unique=True, **where(_ALIVE)),
        Index("purchase_queued", "provider", "order_id", "due_at", **where(_QUEUED)),
        Index("purchase_doubtful", "order_id", "status", **where("doubt")),
        Index("purchase_running", "provider", "due_at", **where(_RUNNING)),
        Index("purchase_followed", "provider", "due_at", **where(_FOLLOWED)),
        Index("purchase_held", "provider", "updated_at", **where(_HELD)),
        Index("purchase_not_bought", "status", **where(_NOT_BOUGHT)),
        Index("purchase_by_order", "order_id", "status", "provider"),
        Index("purchase_by_number", "number"),
        Index("purchase_by_number_id", "provider_number_id", **where("provider_number_id IS NOT NULL")),
        Index("purchase_last_call", "provider", "call_deadline"),
        Index("purchase_by_pool", "pool", "status", "call_deadline", **where(_POOLED)),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    order_id: str | None = Field(default=None, sa_column=Column(ID, nullable=True))
    number: str = Field(max_length=16)
    provider: str = Field(max_length=40)
    account: str = Field(max_length=400)
    status: str = Field(sa_column=Column(String(12), nullable=False))
    success: bool | None = None
    error: str | None = Field(default=None, sa_column=Column(Text))
    error_code: str | None = Field(default=None, max_length=80)
    already_owned: bool = False
    provider_number_id: str | None = Field(default=None, max_length=200)
    provider_order_id: str | None = Field(default=None, max_length=200)
    attempts: int = 0
    revision: int = 0
    due_at: datetime | None = None
    idempotency_key: str | None = Field(default=None, max_length=200, unique=True)
    options: dict[str, Any] = Field(default_factory=dict, sa_column=Column(DOCUMENT, nullable=False))
    extra: dict[str, Any] = Field(default_factory=dict, sa_column=Column("metadata", DOCUMENT, nullable=False))
    cancel_requested_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    doubt: bool = False
    looks: int = 0
    look_failures: int = 0
    call_deadline: datetime | None = None
    first_attempt_at: datetime | None = None
    tried_seconds: float = 0.0
    joined: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    pool: str | None = Field(default=None, max_length=40)
    monthly_price: str | None = Field(default=None, sa_type=Amount)
    setup_price: str | None = Field(default=None, sa_type=Amount)
    currency: str | None = Field(default=None, max_length=3)
    traceparent: str | None = Field(default=None, max_length=55)


class PurchaseKey(SQLModel, table=True):
    """Every idempotency key ever seen, the request it came with, and the purchase it was answered with.

    `metadata`, `order_id` and `traceparent` are the request's own, where its purchase was another's before; else they
    are null.
    """

    __tablename__: ClassVar[str] = "purchase_key"

    idempotency_key: str = Field(max_length=200, primary_key=True)
    fingerprint: str = Field(max_length=64)
    purchase_id: str = Field(sa_column=Column(ID, nullable=False, index=True))
    extra: dict[str, Any] | None = Field(default=None, sa_column=Column("metadata", DOCUMENT, nullable=True))
    order_id: str | None = Field(default=None, sa_column=Column(ID, nullable=True))
    created_at: datetime
    traceparent: str | None = Field(default=None, max_length=55)


class PurchaseAttempt(SQLModel, table=True):
    """One call to buy, written before it is made; `revision` is the purchase's at the claim.

    `outcome` is null while the call runs. `detail` is what the provider said, cut and cleaned of secrets. `reference`
    is our name of the call, where the provider keeps one.
    """

    __tablename__: ClassVar[str] = "purchase_attempt"

    purchase_id: str = Field(sa_column=Column(ID, primary_key=True))
    revision: int = Field(primary_key=True)
    started_at: datetime
    deadline: datetime
    ended_at: datetime | None = None
    outcome: str | None = Field(default=None, max_length=12)
    http_status: int | None = None
    error_code: str | None = Field(default=None, max_length=80)
    provider_number_id: str | None = Field(default=None, max_length=200)
    detail: str | None = Field(default=None, sa_column=Column(Text))
    reference: str | None = Field(default=None, max_length=40)


class PurchaseOrder(SQLModel, table=True):
    """An order of many numbers; `lines` is how many once it is whole, `max_purchases` how many may be bought,
    and `max_spend` for how much, like '50.00 USD': each its setup and first month.

    `used_at_most` is no fewer than those of its purchases that count for `max_purchases`, null where they were not
    counted yet. The database's triggers add each that comes to count; only who counts anew, with the order locked,
    takes away.
    `completed_at` is when it was completed last, and stays while the order is open again.
    """

    __tablename__: ClassVar[str] = "purchase_order"
    __table_args__ = (
        CheckConstraint(f"status IN ({quoted(OrderStatus)})", name="purchase_order_status"),
        Index("purchase_order_unfinished", "status", **where("status IN ('loading', 'open')")),
        Index("purchase_order_created", "created_at"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    status: str = Field(sa_column=Column(String(12), nullable=False))
    name: str | None = Field(default=None, max_length=200)
    lines: int = 0
    max_purchases: int | None = None
    max_spend: str | None = Field(default=None, max_length=40)
    used_at_most: int | None = None
    idempotency_key: str | None = Field(default=None, max_length=200, unique=True)
    fingerprint: str | None = Field(default=None, max_length=64)
    extra: dict[str, Any] = Field(default_factory=dict, sa_column=Column("metadata", DOCUMENT, nullable=False))
    cancel_requested_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None
    traceparent: str | None = Field(default=None, max_length=55)


class PurchaseOrderLine(SQLModel, table=True):
    """One line of an order and the purchase that answers it.

    `shared` marks a purchase that the order found alive and did not create; its own metadata stands here. `wish` is the
    position of the wish that the number was found for, null where the order named it.
    """

    __tablename__: ClassVar[str] = "purchase_order_line"
    __table_args__ = (Index("purchase_order_line_shared", "order_id", **where("shared")),)

    order_id: str = Field(sa_column=Column(ID, primary_key=True))
    line: int = Field(primary_key=True)
    number: str = Field(max_length=16)
    provider: str = Field(max_length=40)
    purchase_id: str = Field(sa_column=Column(ID, nullable=False, index=True))
    shared: bool = False
    extra: dict[str, Any] | None = Field(default=None, sa_column=Column("metadata", DOCUMENT, nullable=True))
    wish: int | None = None


class OutboxEvent(SQLModel, table=True):
    """An event, written in the transaction that it tells of, published after.

    `replays` counts how often it was put back to be published again: what marks it as published names the count.
    """

    __tablename__: ClassVar[str] = "outbox_event"
    __table_args__ = (
        Index("outbox_event_unpublished", "seq", **where("published_at IS NULL")),
        Index("outbox_event_time", "time"),
        Index("outbox_event_by_subject", "subject"),
    )

    seq: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    id: str = Field(sa_column=Column(ID, nullable=False))
    type: str = Field(max_length=60)
    source: str = Field(max_length=100)
    subject: str | None = Field(default=None, max_length=100)
    sequence: int | None = None
    time: datetime
    data: dict[str, Any] = Field(sa_column=Column(DOCUMENT, nullable=False))
    published_at: datetime | None = None
    replays: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    traceparent: str | None = Field(default=None, max_length=55)


class RejectedRequest(SQLModel, table=True):
    """A message that was not accepted, whole, and why: not valid, expired, revoked, or met by an error of ours."""

    __tablename__: ClassVar[str] = "rejected_request"

    id: str = Field(sa_column=Column(ID, primary_key=True))
    received_at: datetime = Field(index=True)
    task: str | None = Field(default=None, max_length=200)
    message_id: str | None = Field(default=None, max_length=200, index=True)
    body: str = Field(sa_column=Column(Text, nullable=False))
    error: str = Field(sa_column=Column(Text, nullable=False))
    error_code: str = Field(max_length=80)


class ProviderState(SQLModel, table=True):
    """Whether a provider is paused, since when and why; `probe_at` is when one purchase may try again.

    `account` is who the alias was at the provider when it was used last, empty where a newer file made it none any
    more; `own_account` who it was by its kind alone; `settled` is false while purchases of another account may wait
    there for a person to say whose they are. `person_paused_at` and `person_reason` are a person's pause that stands
    beneath that of a database that went back in time.
    """

    __tablename__: ClassVar[str] = "provider_state"

    provider: str = Field(max_length=40, primary_key=True)
    paused_at: datetime | None = None
    reason: str | None = Field(default=None, sa_column=Column(Text))
    cause: str | None = Field(default=None, max_length=20)
    probe_at: datetime | None = None
    cooldown: float | None = None
    account: str | None = Field(default=None, max_length=400)
    own_account: str | None = Field(default=None, sa_column=Column(Text))
    settled: bool = Field(default=True, sa_column=Column(Boolean, nullable=False, server_default=true()))
    person_paused_at: datetime | None = None
    person_reason: str | None = Field(default=None, sa_column=Column(Text))
    updated_at: datetime


class PurchaseResolution(SQLModel, table=True):
    """A purchase that a person or an audit settled: who, when and what; `revision` is the purchase's after it."""

    __tablename__: ClassVar[str] = "purchase_resolution"
    __table_args__ = (CheckConstraint(f"decision IN ({quoted(Verdict)})", name="purchase_resolution_decision"),)

    purchase_id: str = Field(sa_column=Column(ID, primary_key=True))
    revision: int = Field(primary_key=True)
    decision: str = Field(sa_column=Column(String(12), nullable=False))
    by: str = Field(max_length=100)
    note: str | None = Field(default=None, sa_column=Column(Text))
    at: datetime


PURCHASE = Purchase.__table__  # type: ignore[attr-defined]
KEY = PurchaseKey.__table__  # type: ignore[attr-defined]
ATTEMPT = PurchaseAttempt.__table__  # type: ignore[attr-defined]
ORDER = PurchaseOrder.__table__  # type: ignore[attr-defined]
LINE = PurchaseOrderLine.__table__  # type: ignore[attr-defined]
EVENT = OutboxEvent.__table__  # type: ignore[attr-defined]
REJECTED = RejectedRequest.__table__  # type: ignore[attr-defined]
PROVIDER = ProviderState.__table__  # type: ignore[attr-defined]
RESOLUTION = PurchaseResolution.__table__  # type: ignore[attr-defined]

# A partial index is used only where the query repeats its condition word for word, without parameters.
ALIVE = text(f"purchase.{_ALIVE}")
QUEUED = text(f"purchase.{_QUEUED}")
DOUBTFUL = text("purchase.doubt")
RUNNING = text(f"purchase.{_RUNNING}")
FOLLOWED = text(f"purchase.{_FOLLOWED}")
HELD = text(f"purchase.{_HELD}")
NOT_BOUGHT = text(f"purchase.{_NOT_BOUGHT}")
POOLED = text(f"purchase.{_POOLED}")
UNPUBLISHED = text("outbox_event.published_at IS NULL")
UNFINISHED = text("purchase_order.status IN ('loading', 'open')")
SHARED = text("purchase_order_line.shared")
