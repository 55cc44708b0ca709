"""What may be spent on the numbers of an order

Revision: 0027
Revises: 0026
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("purchase_order", sa.Column("max_spend", AutoString(length=40), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("purchase_order", "max_spend")
