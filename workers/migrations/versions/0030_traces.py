"""The caller's trace, which a purchase carries from its request to its events

Revision: 0030
Revises: 0029
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

TABLES = ("purchase_order", "purchase_key", "purchase", "outbox_event")


def upgrade() -> None:
    """Apply."""
    for table in TABLES:
        op.add_column(table, sa.Column("traceparent", AutoString(length=55), nullable=True))


def downgrade() -> None:
    """Undo."""
    for table in reversed(TABLES):
        op.drop_column(table, "traceparent")
