"""The tables of numbers that are given back: who asked for it and how far it is, and one row for each call and key."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Index, String, Text, text
from sqlmodel import Field, SQLModel

from schemas.releasing import ReleaseStatus
from schemas.tables.columns import DOCUMENT, ID, quoted, where

_OPEN = "status = 'open'"


class NumberRelease(SQLModel, table=True):
    """One release of a purchase's number; of those of a purchase one is open at most. Only `tasks.ledger` changes it.

    `provider_number_id` is what is released: the purchase's when it was asked for. `asked_for` is how many lines and
    keys pointed to the purchase then: where one came since, no further call is made. `doubt` is true while a call may
    have been executed: the next step is a look then. `looks` counts whole looks in a row that said `found`,
    `look_failures` those that said nothing. `traceparent` is that of its caller's trace, or of our span in it.
    """

    __tablename__: ClassVar[str] = "number_release"
    __table_args__ = (
        CheckConstraint(f"status IN ({quoted(ReleaseStatus)})", name="number_release_status"),
        Index("number_release_open", "purchase_id", unique=True, **where(_OPEN)),
        Index("number_release_due", "due_at", **where(_OPEN)),
        Index("number_release_by_purchase", "purchase_id"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    purchase_id: str = Field(sa_column=Column(ID, nullable=False))
    status: str = Field(sa_column=Column(String(12), nullable=False))
    provider_number_id: str = Field(max_length=200)
    idempotency_key: str | None = Field(default=None, max_length=200, unique=True)
    fingerprint: str | None = Field(default=None, max_length=64)
    extra: dict[str, Any] = Field(default_factory=dict, sa_column=Column("metadata", DOCUMENT, nullable=False))
    by: str = Field(max_length=100)
    asked_for: int
    attempts: int = 0
    revision: int = 0
    doubt: bool = False
    looks: int = 0
    found: str | None = Field(default=None, max_length=12)
    look_failures: int = 0
    due_at: datetime | None = None
    call_deadline: datetime | None = None
    error: str | None = Field(default=None, sa_column=Column(Text))
    error_code: str | None = Field(default=None, max_length=80)
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    traceparent: str | None = Field(default=None, max_length=55)


class ReleaseKey(SQLModel, table=True):
    """Every idempotency key that asked for a number to be given back, with its request's metadata and trace.

    `release_id` is the release that it was answered with. A key that an older program accepted stands in that alone.
    """

    __tablename__: ClassVar[str] = "release_key"

    idempotency_key: str = Field(max_length=200, primary_key=True)
    fingerprint: str | None = Field(default=None, max_length=64)
    release_id: str = Field(sa_column=Column(ID, nullable=False, index=True))
    extra: dict[str, Any] = Field(default_factory=dict, sa_column=Column("metadata", DOCUMENT, nullable=False))
    created_at: datetime
    traceparent: str | None = Field(default=None, max_length=55)


class ReleaseAttempt(SQLModel, table=True):
    """One call to release, written before it is made; `revision` is the release's at the claim.

    `outcome` is null while the call runs. `detail` is what the provider said, cut and cleaned of secrets.
    """

    __tablename__: ClassVar[str] = "release_attempt"

    release_id: str = Field(sa_column=Column(ID, primary_key=True))
    revision: int = Field(primary_key=True)
    started_at: datetime
    deadline: datetime
    ended_at: datetime | None = None
    outcome: str | None = Field(default=None, max_length=12)
    http_status: int | None = None
    error_code: str | None = Field(default=None, max_length=80)
    detail: str | None = Field(default=None, sa_column=Column(Text))


RELEASE = NumberRelease.__table__  # type: ignore[attr-defined]
RELEASE_KEY = ReleaseKey.__table__  # type: ignore[attr-defined]
RELEASE_ATTEMPT = ReleaseAttempt.__table__  # type: ignore[attr-defined]

# A partial index is used only where the query repeats its condition word for word, without parameters.
OPEN = text(f"number_release.{_OPEN}")
