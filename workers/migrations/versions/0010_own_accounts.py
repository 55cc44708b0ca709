"""Who an alias was by its kind alone, whatever its account_id called it

Revision: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. A worker, or the first command that buys, writes it down for each alias that is configured."""
    op.add_column("provider_state", sa.Column("own_account", sa.Text(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("provider_state", "own_account")
