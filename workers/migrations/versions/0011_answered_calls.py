"""Calls to buy that a database lost, and that somebody answered for

Revision: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.String(length=36), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "answered_call",
        sa.Column("purchase_id", ID, primary_key=True),
        sa.Column("revision", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("started_at", UTCDateTime(), primary_key=True),
        sa.Column("answered_at", UTCDateTime(), nullable=False),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("answered_call")
