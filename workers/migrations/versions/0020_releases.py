"""Numbers that are given back: the status *releasing*, who asked for it, and the calls

What was allowed for a purchase's status still is.

Revision: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from workers.database.migrating import widen_check

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.String(length=36), "sqlite")
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
CHECK = "purchase_status"
BEFORE = (
    "'cancelled', 'dispatched', 'failed', 'held', 'processing', 'purchased', 'purchasing', 'queued', 'released', "
    "'unknown'"
)
OPEN = sa.text("status = 'open'")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "number_release",
        sa.Column("id", ID, primary_key=True),
        sa.Column("purchase_id", ID, nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("provider_number_id", AutoString(length=200), nullable=False),
        sa.Column("idempotency_key", AutoString(length=200), nullable=True, unique=True),
        sa.Column("fingerprint", AutoString(length=64), nullable=True),
        sa.Column("metadata", DOCUMENT, nullable=False),
        sa.Column("by", AutoString(length=100), nullable=False),
        sa.Column("asked_for", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("doubt", sa.Boolean(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("found", AutoString(length=12), nullable=True),
        sa.Column("look_failures", sa.Integer(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("call_deadline", UTCDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_code", AutoString(length=80), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("status IN ('kept', 'open', 'released')", name="number_release_status"),
    )
    op.create_index(
        "number_release_open", "number_release", ["purchase_id"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index("number_release_due", "number_release", ["due_at"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("number_release_by_purchase", "number_release", ["purchase_id"])
    op.create_table(
        "release_attempt",
        sa.Column("release_id", ID, primary_key=True),
        sa.Column("revision", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("deadline", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("outcome", AutoString(length=12), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("error_code", AutoString(length=80), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
    )
    widen_check(CHECK, "purchase", f"status IN ({BEFORE}, 'releasing')")


def downgrade() -> None:
    """Undo. What is on its way back is ours as far as this database then knows."""
    op.execute(sa.text("UPDATE purchase SET status = 'purchased' WHERE status = 'releasing'"))
    with op.batch_alter_table("purchase") as batch:
        batch.drop_constraint(CHECK, type_="check")
        batch.create_check_constraint(CHECK, f"status IN ({BEFORE})")
    op.drop_table("release_attempt")
    op.drop_table("number_release")
