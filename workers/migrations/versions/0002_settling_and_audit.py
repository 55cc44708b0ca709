"""What persons and audits settled, and what audits found

Revision: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.String(length=36), "sqlite")
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "purchase_resolution",
        sa.Column("purchase_id", ID, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(length=12), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "decision IN ('adopted', 'bought', 'evidence', 'fail', 'released', 'retry')",
            name="purchase_resolution_decision",
        ),
        sa.PrimaryKeyConstraint("purchase_id", "revision"),
    )
    op.create_table(
        "audit_run",
        sa.Column("account", sa.String(length=400), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("began_at", UTCDateTime(), nullable=True),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("owned", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account"),
    )
    op.create_table(
        "audit_finding",
        sa.Column("id", ID, nullable=False),
        sa.Column("account", sa.String(length=400), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("purchase_id", ID, nullable=True),
        sa.Column("provider_number_ids", DOCUMENT, nullable=False),
        sa.Column("found_at", UTCDateTime(), nullable=False),
        sa.Column("resolved_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('charged_twice', 'evidence', 'missing', 'orphan')",
            name="audit_finding_kind",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("audit_finding", schema=None) as batch_op:
        batch_op.create_index(
            "audit_finding_open",
            ["account", "kind", "number"],
            unique=True,
            sqlite_where=sa.text("resolved_at IS NULL"),
            postgresql_where=sa.text("resolved_at IS NULL"),
        )


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("audit_finding", schema=None) as batch_op:
        batch_op.drop_index(
            "audit_finding_open",
            sqlite_where=sa.text("resolved_at IS NULL"),
            postgresql_where=sa.text("resolved_at IS NULL"),
        )

    op.drop_table("audit_finding")
    op.drop_table("audit_run")
    op.drop_table("purchase_resolution")
