"""What has a doubt behind it, found by its order

Revision: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DOUBTFUL = sa.text("doubt")


def upgrade() -> None:
    """Apply."""
    columns = ["order_id", "status"]
    op.create_index("purchase_doubtful", "purchase", columns, sqlite_where=DOUBTFUL, postgresql_where=DOUBTFUL)


def downgrade() -> None:
    """Undo."""
    op.drop_index("purchase_doubtful", table_name="purchase")
