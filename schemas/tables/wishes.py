"""The table of wishes: what an order by criteria wants, and how far it is."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Boolean, CheckConstraint, Column, Index, String, Text, false, text
from sqlmodel import Field, SQLModel

from schemas.tables.columns import DOCUMENT, ID, quoted, where


class WishState(StrEnum):
    """How a wish stands.

    OPEN: numbers are looked for, or bought. REACHED: all are bought, but for those that wait for a person. SHORT:
    nothing more is for sale, or nobody waits for it any longer. FAILED: less than `at_least` was found, and nothing
    bought. CANCELLED: with its order.
    """

    OPEN = "open"
    REACHED = "reached"
    SHORT = "short"
    FAILED = "failed"
    CANCELLED = "cancelled"


_OPEN = "state = 'open'"


class OrderWish(SQLModel, table=True):
    """One wish of an order. Its lines, which tell what was found, name it by `position`.

    `next_run_at` is when a worker looks at it next, `search_at` when the providers are searched again at the latest.
    `leased_until` is the time until which one run has it for itself; one that was killed leaves it behind. `batch` is
    how many lines were being bought after the last run that found some, `fruitless` how many runs have found none
    since, `progress_at` when the last line came. `empty_at` is when a search of all that its providers have showed too
    few: it ends where the next one does too, for a gateway's empty list cannot be told from the truth. `forgiven` is
    how many of its cancelled lines a retry has asked for again.
    `reserve` is whether numbers are reserved before they are bought, at providers that do so.
    Only `tasks.ledger` changes it.
    """

    __tablename__: ClassVar[str] = "order_wish"
    __table_args__ = (
        CheckConstraint(f"state IN ({quoted(WishState)})", name="order_wish_state"),
        Index("order_wish_open", "next_run_at", **where(_OPEN)),
    )

    order_id: str = Field(sa_column=Column(ID, primary_key=True))
    position: int = Field(primary_key=True)
    state: str = Field(sa_column=Column(String(12), nullable=False))
    count: int
    at_least: int
    reserve: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    criteria: dict[str, Any] = Field(sa_column=Column(DOCUMENT, nullable=False))
    extra: dict[str, Any] = Field(default_factory=dict, sa_column=Column("metadata", DOCUMENT, nullable=False))
    reason: str | None = Field(default=None, sa_column=Column(Text))
    searches: int = 0
    batch: int = 0
    fruitless: int = 0
    forgiven: int = 0
    next_run_at: datetime
    search_at: datetime
    leased_until: datetime | None = None
    progress_at: datetime
    empty_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None


class WishOffers(SQLModel, table=True):
    """What the searches of an open wish showed beyond what it was missing: it takes the place of what is refused.

    `offers` are rows of number, provider, account, monthly_price, setup_price, currency, options and seen_at, as
    `tasks.wishes.kept` writes them. Who loses them searches again.
    """

    __tablename__: ClassVar[str] = "order_wish_offers"

    order_id: str = Field(sa_column=Column(ID, primary_key=True))
    position: int = Field(primary_key=True)
    offers: list[dict[str, Any]] = Field(sa_column=Column(DOCUMENT, nullable=False))


class WishReservation(SQLModel, table=True):
    """A number that a provider keeps for a wish, by the provider's id of that: it is named where the number is bought.

    `purchase_id` is that purchase, once the number is a line. `reserved_at` is from before the call, and the provider
    keeps it until `lapses_at`. `next_look_at` is when a worker asks whether it is still needed; `cancelling` says that
    it is not, and `tries` how often the provider was told. A row goes once nothing is reserved by it.
    """

    __tablename__: ClassVar[str] = "order_wish_reservation"
    __table_args__ = (
        Index("order_wish_reservation_due", "next_look_at"),
        Index("order_wish_reservation_by_wish", "order_id", "position"),
        Index("order_wish_reservation_by_purchase", "purchase_id"),
    )

    account: str = Field(max_length=400, primary_key=True)
    reservation_id: str = Field(max_length=100, primary_key=True)
    provider: str = Field(max_length=40)
    number: str = Field(max_length=16)
    order_id: str = Field(sa_column=Column(ID, nullable=False))
    position: int
    purchase_id: str | None = Field(default=None, sa_column=Column(ID, nullable=True))
    cancelling: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    tries: int = 0
    reserved_at: datetime
    lapses_at: datetime
    next_look_at: datetime


WISH = OrderWish.__table__  # type: ignore[attr-defined]
OFFERS = WishOffers.__table__  # type: ignore[attr-defined]
RESERVATION = WishReservation.__table__  # type: ignore[attr-defined]

# A partial index is used only where the query repeats its condition word for word, without parameters.
OPEN_WISH = text(f"order_wish.{_OPEN}")
