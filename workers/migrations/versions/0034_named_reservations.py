"""Reservations that a purchase has to name, so that a crash loses none, and what is not needed is given back

Revision: 0034
Revises: 0033
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.String(length=36), "sqlite")
TABLE = "order_wish_reservation"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        TABLE,
        sa.Column("account", sa.String(length=400), primary_key=True),
        sa.Column("reservation_id", sa.String(length=100), primary_key=True),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("order_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("purchase_id", ID, nullable=True),
        sa.Column("cancelling", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reserved_at", UTCDateTime(), nullable=False),
        sa.Column("lapses_at", UTCDateTime(), nullable=False),
        sa.Column("next_look_at", UTCDateTime(), nullable=False),
    )
    op.create_index("order_wish_reservation_due", TABLE, ["next_look_at"])
    op.create_index("order_wish_reservation_by_wish", TABLE, ["order_id", "position"])
    op.create_index("order_wish_reservation_by_purchase", TABLE, ["purchase_id"])


def downgrade() -> None:
    """Undo. What is reserved lapses."""
    op.drop_table(TABLE)
