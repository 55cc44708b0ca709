"""The table of the processes that run, and of the configuration that each of them has in force."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel


class RunningProcess(SQLModel, table=True):
    """A worker, a beat or an `up`: it writes itself down every few seconds.

    `digest` is that of its configuration (`Config.digest`), in force since `since`; `refused` says why it does not take
    over what its file holds now, null where it does.
    """

    __tablename__: ClassVar[str] = "running_process"

    id: str = Field(max_length=40, primary_key=True)
    role: str = Field(max_length=20)
    host: str = Field(max_length=200)
    pid: int
    digest: str = Field(max_length=64)
    since: datetime
    seen_at: datetime
    refused: str | None = Field(default=None, sa_column=Column(Text))


PROCESS = RunningProcess.__table__  # type: ignore[attr-defined]
