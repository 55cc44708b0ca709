"""A person's pause of a provider that stands beneath that of a database that went back in time

Revision: 0018
Revises: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("provider_state", sa.Column("person_paused_at", UTCDateTime(), nullable=True))
    op.add_column("provider_state", sa.Column("person_reason", sa.Text(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("provider_state", "person_reason")
    op.drop_column("provider_state", "person_paused_at")
