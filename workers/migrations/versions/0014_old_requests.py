"""Takes and returns by their time, so that old ones are found

Revision: 0014
Revises: 0013
"""

from __future__ import annotations

from alembic import op

from workers.database.migrating import add_index

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    add_index("pool_request_created", "pool_request", ["created_at"])


def downgrade() -> None:
    """Undo."""
    op.drop_index("pool_request_created", table_name="pool_request")
