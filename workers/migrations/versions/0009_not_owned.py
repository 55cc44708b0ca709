"""What an audit says of a held purchase whose number is not owned

Revision: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CHECKS = {
    "purchase_resolution": ("decision", "'adopted', 'bought', 'evidence', 'fail', 'released', 'retry'"),
    "audit_finding": ("kind", "'charged_twice', 'evidence', 'missing', 'orphan'"),
}


def upgrade() -> None:
    """Apply."""
    for table, (column, values) in CHECKS.items():
        _check(table, column, f"'absent', {values}")


def downgrade() -> None:
    """Undo. What was settled so is as if a person had said it; what was told so is settled anyway."""
    op.execute(sa.text("UPDATE purchase_resolution SET decision = 'fail' WHERE decision = 'absent'"))
    op.execute(sa.text("DELETE FROM audit_finding WHERE kind = 'absent'"))
    for table, (column, values) in CHECKS.items():
        _check(table, column, values)


def _check(table: str, column: str, values: str) -> None:
    with op.batch_alter_table(table) as batch:
        batch.drop_constraint(f"{table}_{column}", type_="check")
        batch.create_check_constraint(f"{table}_{column}", f"{column} IN ({values})")
