"""The order that a provider took a purchase into, and our names of the calls

Revision: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("purchase", sa.Column("provider_order_id", sa.String(length=200), nullable=True))
    op.add_column("purchase_attempt", sa.Column("reference", sa.String(length=40), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("purchase_attempt", "reference")
    op.drop_column("purchase", "provider_order_id")
