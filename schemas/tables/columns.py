"""Column types and conditions that are spelled alike on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect, Integer, Numeric, String, TypeDecorator, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

ID = Uuid(as_uuid=False).with_variant(String(36), "sqlite")
DOCUMENT = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


class Amount(TypeDecorator[str]):
    """An exact amount: NUMERIC on PostgreSQL, and text on SQLite, whose NUMERIC is a float. In rows it is text."""

    impl = Numeric().with_variant(String(25), "sqlite")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """What the database takes."""
        return Decimal(value) if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: Any, _dialect: Dialect) -> str | None:
        """What a row says."""
        return f"{value:f}" if isinstance(value, Decimal) else value


def quoted(values: Iterable[str]) -> str:
    """SQL literals of *values*, sorted, for a CHECK or an index condition."""
    return ", ".join(f"'{value}'" for value in sorted(values))


def where(condition: str) -> dict[str, Any]:
    """The arguments that make an Index partial."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
