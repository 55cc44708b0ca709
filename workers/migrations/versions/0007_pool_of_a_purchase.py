"""The pool that a purchase is for, so that its daily limit is counted by its calls

Revision: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

POOLED = sa.text("pool IS NOT NULL")
OF_ITS_ORDER = """
    UPDATE purchase SET pool = (SELECT pool_run.pool FROM pool_run WHERE pool_run.order_id = purchase.order_id)
    WHERE order_id IN (SELECT pool_run.order_id FROM pool_run WHERE pool_run.order_id IS NOT NULL)
"""


def upgrade() -> None:
    """Apply."""
    op.add_column("purchase", sa.Column("pool", sa.String(40), nullable=True))
    op.execute(OF_ITS_ORDER)
    columns = ["pool", "status", "call_deadline"]
    op.create_index("purchase_by_pool", "purchase", columns, sqlite_where=POOLED, postgresql_where=POOLED)
    op.drop_index("pool_number_by_order_time", table_name="pool_number")


def downgrade() -> None:
    """Undo."""
    op.create_index("pool_number_by_order_time", "pool_number", ["pool", "ordered_at"])
    op.drop_index("purchase_by_pool", table_name="purchase")
    op.drop_column("purchase", "pool")
