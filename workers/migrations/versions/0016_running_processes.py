"""The processes that run, and which configuration each has in force

Revision: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "running_process",
        sa.Column("id", AutoString(length=40), primary_key=True),
        sa.Column("role", AutoString(length=20), nullable=False),
        sa.Column("host", AutoString(length=200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("digest", AutoString(length=64), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.Column("refused", sa.Text(), nullable=True),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("running_process")
