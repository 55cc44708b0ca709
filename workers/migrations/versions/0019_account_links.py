"""The names of an account whose marked calls answer for each other, so that a Redis that was emptied is told them again

Those that were linked before stand in Redis alone: what they were is told nowhere else.

Revision: 0019
Revises: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "account_link",
        sa.Column("former", AutoString(length=400), primary_key=True),
        sa.Column("account", AutoString(length=400), primary_key=True),
        sa.Column("same", sa.Boolean(), primary_key=True),
        sa.Column("linked_at", UTCDateTime(), nullable=False),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("account_link")
