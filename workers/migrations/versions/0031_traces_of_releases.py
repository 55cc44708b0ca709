"""The caller's trace of a release, from its request to its calls and its end

Revision: 0031
Revises: 0030
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

TABLES = ("number_release", "release_key")


def upgrade() -> None:
    """Apply."""
    for table in TABLES:
        op.add_column(table, sa.Column("traceparent", AutoString(length=55), nullable=True))


def downgrade() -> None:
    """Undo."""
    for table in reversed(TABLES):
        op.drop_column(table, "traceparent")
