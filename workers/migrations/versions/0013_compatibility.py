"""Which programs may work with the database: those that know the tables as of 0012, and later ones

Revision: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table("schema_compatibility", sa.Column("oldest_revision", AutoString(length=32), primary_key=True))
    op.execute(sa.text("INSERT INTO schema_compatibility (oldest_revision) VALUES ('0012')"))


def downgrade() -> None:
    """Undo."""
    op.drop_table("schema_compatibility")
