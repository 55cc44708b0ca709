"""The tables of the scheduled audits."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, Column, Index, String, Text, text
from sqlmodel import Field, SQLModel

from schemas.settling import FindingKind
from schemas.tables.columns import DOCUMENT, ID, quoted, where


class AuditRun(SQLModel, table=True):
    """The scheduled audit of an account: when the next is due, and how the last one went."""

    __tablename__: ClassVar[str] = "audit_run"

    account: str = Field(max_length=400, primary_key=True)
    provider: str = Field(max_length=40)
    due_at: datetime
    began_at: datetime | None = None
    ended_at: datetime | None = None
    owned: int | None = None
    error: str | None = Field(default=None, sa_column=Column(Text))


class AuditFinding(SQLModel, table=True):
    """What a scheduled audit found and told of once; `resolved_at` is when it was settled, or found to be gone."""

    __tablename__: ClassVar[str] = "audit_finding"
    __table_args__ = (
        CheckConstraint(f"kind IN ({quoted(FindingKind)})", name="audit_finding_kind"),
        Index("audit_finding_open", "account", "kind", "number", unique=True, **where("resolved_at IS NULL")),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account: str = Field(max_length=400)
    kind: str = Field(sa_column=Column(String(16), nullable=False))
    number: str = Field(max_length=16)
    provider: str = Field(max_length=40)
    purchase_id: str | None = Field(default=None, sa_column=Column(ID, nullable=True))
    provider_number_ids: list[str] = Field(default_factory=list, sa_column=Column(DOCUMENT, nullable=False))
    found_at: datetime
    resolved_at: datetime | None = None


AUDIT_RUN = AuditRun.__table__  # type: ignore[attr-defined]
FINDING = AuditFinding.__table__  # type: ignore[attr-defined]

# Conditions of the tables' partial indexes.
OPEN_FINDING = text("audit_finding.resolved_at IS NULL")
