"""The daily look at an account's balance: when it is due, so that one worker tells of a low one, once a day

Revision: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "balance_check",
        sa.Column("account", AutoString(length=400), primary_key=True),
        sa.Column("provider", AutoString(length=40), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("began_at", UTCDateTime(), nullable=True),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("balance", sa.Text(), nullable=True),
        sa.Column("low", sa.Boolean(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("balance_check")
