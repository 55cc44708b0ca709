"""The tables of the pools: the stock of bought numbers, who took what, and how each pool stands."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Index, String, Text, text
from sqlmodel import Field, SQLModel

from schemas.tables.columns import DOCUMENT, ID, quoted, where


class Slot(StrEnum):
    """What a place in a pool holds.

    WANTED: nothing yet, or its last purchase came to nothing. ORDERED: a number on its way. AVAILABLE: one to take.
    TAKEN: one in use. GONE: none any more, its number was released at the provider.
    """

    WANTED = "wanted"
    ORDERED = "ordered"
    AVAILABLE = "available"
    TAKEN = "taken"
    GONE = "gone"


class PoolStatus(StrEnum):
    """How a pool stands.

    OK. EXHAUSTED: no number found or no budget left. BLOCKED: what is under way keeps it low, or its runs fail.
    """

    OK = "ok"
    EXHAUSTED = "exhausted"
    BLOCKED = "blocked"


_WANTED = "status = 'wanted'"
_ORDERED = "status = 'ordered'"
_AVAILABLE = "status = 'available'"
_LIVE = "status IN ('ordered', 'available', 'taken')"
_GONE = "status = 'gone'"


class Pool(SQLModel, table=True):
    """One pool's state; its levels and limits stand in the configuration.

    `next_slot` is the number of its next new place. `schedule` is what `next_run_at` follows, as the configuration had
    it. `leased_until` is the time until which one run has the pool for itself; a run that was killed leaves it behind,
    and `next_run_at` as it was, so that the run is made up.
    """

    __tablename__: ClassVar[str] = "pool"
    __table_args__ = (CheckConstraint(f"status IN ({quoted(PoolStatus)})", name="pool_status"),)

    name: str = Field(max_length=40, primary_key=True)
    status: str = Field(sa_column=Column(String(12), nullable=False))
    reason: str | None = Field(default=None, sa_column=Column(Text))
    since: datetime
    next_slot: int = 1
    schedule: str = Field(sa_column=Column(Text, nullable=False))
    next_run_at: datetime
    last_run_at: datetime | None = None
    leased_until: datetime | None = None
    updated_at: datetime


class PoolNumber(SQLModel, table=True):
    """One place of a pool and what it holds; `tries` counts the numbers that were ordered for it.

    `available_at` is when the number was bought or returned: the longest available is taken first. `request_id` is
    that of the take.
    """

    __tablename__: ClassVar[str] = "pool_number"
    __table_args__ = (
        CheckConstraint(f"status IN ({quoted(Slot)})", name="pool_number_status"),
        Index("pool_number_wanted", "pool", "slot", **where(_WANTED)),
        Index("pool_number_ordered", "pool", "slot", **where(_ORDERED)),
        Index("pool_number_available", "pool", "available_at", "slot", **where(_AVAILABLE)),
        Index("pool_number_by_purchase", "purchase_id", unique=True, **where("purchase_id IS NOT NULL")),
        Index("pool_number_by_request", "request_id", **where("request_id IS NOT NULL")),
        # the promise that no number has two takers, whichever account each was bought at
        Index("pool_number_live", "number", unique=True, **where(_LIVE)),
        Index("pool_number_gone", "number", **where(_GONE)),
    )

    pool: str = Field(max_length=40, primary_key=True)
    slot: int = Field(primary_key=True)
    status: str = Field(sa_column=Column(String(12), nullable=False))
    tries: int = 0
    number: str | None = Field(default=None, max_length=16)
    provider: str | None = Field(default=None, max_length=40)
    purchase_id: str | None = Field(default=None, sa_column=Column(ID, nullable=True))
    provider_number_id: str | None = Field(default=None, max_length=200)
    ordered_at: datetime | None = None
    available_at: datetime | None = None
    taken_at: datetime | None = None
    taker: str | None = Field(default=None, max_length=200)
    request_id: str | None = Field(default=None, max_length=200)
    updated_at: datetime


class PoolRequest(SQLModel, table=True):
    """A take or a return that was answered: the same `request_id` again gets the same answer.

    `numbers` is what it moved. One that was refused moved none, and has the `error_code` and the `error` it was told.
    """

    __tablename__: ClassVar[str] = "pool_request"
    __table_args__ = (Index("pool_request_created", "created_at"),)

    request_id: str = Field(max_length=200, primary_key=True)
    fingerprint: str = Field(max_length=64)
    pool: str = Field(max_length=40)
    task: str = Field(max_length=40)
    taker: str | None = Field(default=None, max_length=200)
    numbers: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(DOCUMENT, nullable=False))
    error_code: str | None = Field(default=None, max_length=80)
    error: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime


class PoolRun(SQLModel, table=True):
    """One replenishment that ordered something, or wanted to; `order_id` is null where it could order nothing."""

    __tablename__: ClassVar[str] = "pool_run"
    __table_args__ = (
        Index("pool_run_by_pool", "pool", "id"),
        Index("pool_run_by_order", "order_id", unique=True, **where("order_id IS NOT NULL")),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    pool: str = Field(max_length=40)
    order_id: str | None = Field(default=None, sa_column=Column(ID, nullable=True))
    at: datetime
    level: int
    wanted: int
    ordered: int
    reason: str | None = Field(default=None, sa_column=Column(Text))


POOL = Pool.__table__  # type: ignore[attr-defined]
POOL_NUMBER = PoolNumber.__table__  # type: ignore[attr-defined]
POOL_REQUEST = PoolRequest.__table__  # type: ignore[attr-defined]
POOL_RUN = PoolRun.__table__  # type: ignore[attr-defined]

# A partial index is used only where the query repeats its condition word for word, without parameters.
WANTED = text(f"pool_number.{_WANTED}")
ORDERED = text(f"pool_number.{_ORDERED}")
AVAILABLE = text(f"pool_number.{_AVAILABLE}")
LIVE = text(f"pool_number.{_LIVE}")
GONE = text(f"pool_number.{_GONE}")
