"""An index on the purchases that ended without a number of ours: few among many, they are looked at by status

Revision: 0026
Revises: 0025
"""

from __future__ import annotations

from alembic import op

from workers.database.migrating import add_index

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    add_index(
        "purchase_not_bought",
        "purchase",
        ["status"],
        where="status IN ('cancelled', 'failed', 'released', 'releasing')",
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("purchase_not_bought", table_name="purchase")
