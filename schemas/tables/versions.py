"""The table of which programs may work with a database."""

from __future__ import annotations

from typing import ClassVar

from sqlmodel import Field, SQLModel


class SchemaCompatibility(SQLModel, table=True):
    """One row, written by migrations: programs for this revision of the tables and later ones may go on."""

    __tablename__: ClassVar[str] = "schema_compatibility"

    oldest_revision: str = Field(max_length=32, primary_key=True)


COMPATIBILITY = SchemaCompatibility.__table__  # type: ignore[attr-defined]
