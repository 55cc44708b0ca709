"""Every key under which a number was asked to be given back, so that none is taken for a new request, and each is told

A release that is there already has its first key in its own row, and is found by that.

Revision: 0022
Revises: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.String(length=36), "sqlite")
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "release_key",
        sa.Column("idempotency_key", AutoString(length=200), primary_key=True),
        sa.Column("fingerprint", AutoString(length=64), nullable=True),
        sa.Column("release_id", ID, nullable=False),
        sa.Column("metadata", DOCUMENT, nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
    )
    op.create_index("ix_release_key_release_id", "release_key", ["release_id"])


def downgrade() -> None:
    """Undo."""
    op.drop_table("release_key")
