"""An index on the subjects of events: the page of a purchase shows what was told of it, among millions of others

Revision: 0032
Revises: 0031
"""

from __future__ import annotations

from alembic import op

from workers.database.migrating import add_index

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    add_index("outbox_event_by_subject", "outbox_event", ["subject"])


def downgrade() -> None:
    """Undo."""
    op.drop_index("outbox_event_by_subject", table_name="outbox_event")
