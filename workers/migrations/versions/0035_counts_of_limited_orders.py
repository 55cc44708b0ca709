"""How many purchases of an order with a limit count for it at the most, kept by the database itself

Triggers, for whatever changes a purchase is counted: programs of the release before, and people. They only add, so what
comes to nothing stays counted until the purchases are counted anew, with the order locked.

Revision: 0035
Revises: 0034
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

# What may have been bought: a status that is not known yet is counted, too.
_COUNTS = "({0}.status NOT IN ('queued', 'failed', 'cancelled') OR ({0}.status = 'queued' AND {0}.doubt))"
_NOW = _COUNTS.format("NEW")
_ANEW = f"{_NOW} AND (NOT {_COUNTS.format('OLD')} OR OLD.order_id IS DISTINCT FROM NEW.order_id)"
_WHEN = {
    "purchase_counted": ("UPDATE OF status, doubt, order_id", _ANEW),
    "purchase_counted_at_once": ("INSERT", _NOW),
}
# Also where it is null: who counts with the order locked sees all that was counted before.
_ADD = "UPDATE {} SET used_at_most = used_at_most + 1 WHERE id = {} AND max_purchases IS NOT NULL"
# The order beside this purchase, whatever the search_path is: what pg_dump writes is read in with none.
_BODY = f"""BEGIN
    EXECUTE format('{_ADD.format("%I.purchase_order", "$1")}', TG_TABLE_SCHEMA) USING NEW.order_id;
    RETURN NULL;
END"""


def upgrade() -> None:
    """Apply."""
    op.add_column("purchase_order", sa.Column("used_at_most", sa.Integer(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        # Its `IS NOT` is the standard's `IS DISTINCT FROM`, which only newer ones know.
        for name, (what, when) in _WHEN.items():
            known = when.replace("IS DISTINCT FROM", "IS NOT")
            add = _ADD.format("purchase_order", "NEW.order_id")
            op.execute(f"CREATE TRIGGER {name} AFTER {what} ON purchase WHEN {known} BEGIN {add}; END")
        return
    op.execute(f"CREATE FUNCTION purchase_counted() RETURNS trigger LANGUAGE plpgsql AS $$ {_BODY} $$")
    for name, (what, when) in _WHEN.items():
        head = f"CREATE TRIGGER {name} AFTER {what} ON purchase FOR EACH ROW"
        op.execute(f"{head} WHEN (NEW.order_id IS NOT NULL AND {when}) EXECUTE FUNCTION purchase_counted()")


def downgrade() -> None:
    """Undo. Purchases are counted each time."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name in _WHEN:
        op.execute(f"DROP TRIGGER {name} ON purchase" if postgresql else f"DROP TRIGGER {name}")
    if postgresql:
        op.execute("DROP FUNCTION purchase_counted()")
    op.drop_column("purchase_order", "used_at_most")
