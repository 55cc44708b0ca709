"""What a number costs, as its provider's search told it before it was ordered

Revision: 0024
Revises: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

AMOUNT = sa.Numeric().with_variant(sa.String(length=25), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.add_column("purchase", sa.Column("monthly_price", AMOUNT, nullable=True))
    op.add_column("purchase", sa.Column("setup_price", AMOUNT, nullable=True))
    op.add_column("purchase", sa.Column("currency", AutoString(length=3), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("purchase", "currency")
    op.drop_column("purchase", "setup_price")
    op.drop_column("purchase", "monthly_price")
