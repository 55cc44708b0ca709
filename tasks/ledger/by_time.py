"""Rows counted by steps of time, alike on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, cast, extract


def step_of(at: ColumnElement[Any], seconds: int) -> ColumnElement[int]:
    """In which step of so many seconds since 1970 a time lies; to the second."""
    return cast(extract("epoch", at), BigInteger) // seconds
