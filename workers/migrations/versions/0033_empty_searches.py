"""When a wish's search last showed nothing, so that it ends only where the next one does too

Revision: 0033
Revises: 0032
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("order_wish", sa.Column("empty_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("order_wish", "empty_at")
