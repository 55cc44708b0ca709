"""The table of what a database lost when it went back in time, and somebody answered for."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from schemas.tables.columns import ID


class AccountAnswer(SQLModel, table=True):
    """A call that this database lost: an audit took in what it bought, or gave back, or a person answered for it.

    `purchase_id` is the purchase that it was to buy, or the release that it was for.
    It stands in no other table. A database that goes back once more, to before the answer, has lost it again. Where
    several accounts may be the one that made it, each answers for itself: what the one does not have, another may.
    """

    __tablename__: ClassVar[str] = "account_answer"

    account: str = Field(max_length=400, primary_key=True)
    purchase_id: str = Field(sa_column=Column(ID, primary_key=True))
    revision: int = Field(primary_key=True)
    started_at: datetime = Field(primary_key=True)
    answered_at: datetime


class AnsweredCall(SQLModel, table=True):
    """The same as older programs wrote and read it, which does not say whose answer it is; nothing uses it any more."""

    __tablename__: ClassVar[str] = "answered_call"

    purchase_id: str = Field(sa_column=Column(ID, primary_key=True))
    revision: int = Field(primary_key=True)
    started_at: datetime = Field(primary_key=True)
    answered_at: datetime


ANSWERED = AccountAnswer.__table__  # type: ignore[attr-defined]
