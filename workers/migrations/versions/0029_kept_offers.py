"""What searches for orders by criteria showed beyond what was missing, which replaces what is refused

Revision: 0029
Revises: 0028
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.String(length=36), "sqlite")
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "order_wish_offers",
        sa.Column("order_id", ID, primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("offers", DOCUMENT, nullable=False),
    )


def downgrade() -> None:
    """Undo. What is missing is searched for again."""
    op.drop_table("order_wish_offers")
