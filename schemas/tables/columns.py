"""Column types and conditions that are spelled alike on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, String, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

ID = Uuid(as_uuid=False).with_variant(String(36), "sqlite")
DOCUMENT = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


def quoted(values: Iterable[str]) -> str:
    """SQL literals of *values*, sorted, for a CHECK or an index condition."""
    return ", ".join(f"'{value}'" for value in sorted(values))


def where(condition: str) -> dict[str, Any]:
    """The arguments that make an Index partial."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
