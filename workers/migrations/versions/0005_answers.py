"""Answers that are remembered: to every request for a purchase, and to takes and returns that were refused

Revision: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.String(length=36), "sqlite")
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")

JOINED = """
UPDATE purchase SET joined = true
WHERE status IN ('queued', 'dispatched', 'purchasing', 'processing', 'unknown', 'held') AND EXISTS (
    SELECT 1 FROM purchase_key AS one
    WHERE one.purchase_id = purchase.id
    AND (purchase.idempotency_key IS NULL OR one.idempotency_key <> purchase.idempotency_key)
)
"""


def upgrade() -> None:
    """Apply."""
    op.add_column("purchase", sa.Column("joined", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("purchase_key", sa.Column("metadata", DOCUMENT, nullable=True))
    op.add_column("purchase_key", sa.Column("order_id", ID, nullable=True))
    op.execute(JOINED)
    op.add_column("pool_request", sa.Column("error_code", sa.String(length=80), nullable=True))
    op.add_column("pool_request", sa.Column("error", sa.Text(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("pool_request", "error")
    op.drop_column("pool_request", "error_code")
    op.drop_column("purchase_key", "order_id")
    op.drop_column("purchase_key", "metadata")
    op.drop_column("purchase", "joined")
