"""Accounts that were left, so that nobody is asked for them again

Those that were left before are not filled in: whether a purchase is of one, or of an account that was never settled,
nothing says. A person is asked for each once more.

Revision: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "left_account",
        sa.Column("account", AutoString(length=400), primary_key=True),
        sa.Column("own_account", sa.Text(), nullable=True),
        sa.Column("left_at", UTCDateTime(), nullable=False),
    )
    op.add_column("provider_state", sa.Column("settled", sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    """Undo."""
    op.drop_column("provider_state", "settled")
    op.drop_table("left_account")
