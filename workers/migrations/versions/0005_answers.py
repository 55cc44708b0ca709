"""Takes and returns that were refused are remembered

Revision: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("pool_request", sa.Column("error_code", sa.String(length=80), nullable=True))
    op.add_column("pool_request", sa.Column("error", sa.Text(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("pool_request", "error")
    op.drop_column("pool_request", "error_code")
