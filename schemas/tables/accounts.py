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


LEFT = LeftAccount.__table__  # type: ignore[attr-defined]
LINK = AccountLink.__table__  # type: ignore[attr-defined]
