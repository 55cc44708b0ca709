"""How often an event was put back to be sent again

Revision: 0012
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("outbox_event", sa.Column("replays", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    """Undo."""
    op.drop_column("outbox_event", "replays")
