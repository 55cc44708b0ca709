"""An index on the provider's ids of numbers: before one is deleted by its id, it is looked up who else has that id

Revision: 0023
Revises: 0022
"""

from __future__ import annotations

from alembic import op

from workers.database.migrating import add_index

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    add_index("purchase_by_number_id", "purchase", ["provider_number_id"], where="provider_number_id IS NOT NULL")


def downgrade() -> None:
    """Undo."""
    op.drop_index("purchase_by_number_id", table_name="purchase")
