"""Which account each alias was

Revision: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("provider_state", sa.Column("account", sa.String(400), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("provider_state", "account")
