"""The tables of what became of accounts: those that are not used any more, and those that have several names."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel


class LeftAccount(SQLModel, table=True):
    """An account that was left: nobody is asked for it again, and no command for another account touches it.

    `own_account` is who it was by its kind alone, so that it is known where it comes back by another name; null where a
    person said that what comes back is another.
    """

    __tablename__: ClassVar[str] = "left_account"

    account: str = Field(max_length=400, primary_key=True)
    own_account: str | None = Field(default=None, sa_column=Column(Text))
    left_at: datetime


class AccountLink(SQLModel, table=True):
    """Two names whose marked calls each answers for: of one account (`same`), or of what may be one.

    Redis has the same beside the marks, and may be emptied; this may go back in time.
    """

    __tablename__: ClassVar[str] = "account_link"

    former: str = Field(max_length=400, primary_key=True)
    account: str = Field(max_length=400, primary_key=True)
    same: bool = Field(primary_key=True)
    linked_at: datetime


class BalanceCheck(SQLModel, table=True):
    """The daily look at an account's balance: when the next is due, and what the last one saw.

    `balance` is as the provider told it, null where it could not be read: then `error` tells why.
    """

    __tablename__: ClassVar[str] = "balance_check"

    account: str = Field(max_length=400, primary_key=True)
    provider: str = Field(max_length=40)
    due_at: datetime
    began_at: datetime | None = None
    ended_at: datetime | None = None
    balance: str | None = Field(default=None, sa_column=Column(Text))
    low: bool | None = None
    error: str | None = Field(default=None, sa_column=Column(Text))


LEFT = LeftAccount.__table__  # type: ignore[attr-defined]
LINK = AccountLink.__table__  # type: ignore[attr-defined]
BALANCE_CHECK = BalanceCheck.__table__  # type: ignore[attr-defined]
