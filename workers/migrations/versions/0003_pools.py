"""Pools: their stock of numbers, who took what, and their runs

Revision: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.String(length=36), "sqlite")
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Apply."""
    _pool()
    _pool_number()
    _pool_request()
    _pool_run()


def _pool() -> None:
    op.create_table(
        "pool",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.Column("next_slot", sa.Integer(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("next_run_at", UTCDateTime(), nullable=False),
        sa.Column("last_run_at", UTCDateTime(), nullable=True),
        sa.Column("leased_until", UTCDateTime(), nullable=True),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint("status IN ('blocked', 'exhausted', 'ok')", name="pool_status"),
        sa.PrimaryKeyConstraint("name"),
    )


def _pool_number() -> None:
    op.create_table(
        "pool_number",
        sa.Column("pool", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=16), nullable=True),
        sa.Column("provider", sa.String(length=40), nullable=True),
        sa.Column("purchase_id", ID, nullable=True),
        sa.Column("provider_number_id", sa.String(length=200), nullable=True),
        sa.Column("ordered_at", UTCDateTime(), nullable=True),
        sa.Column("available_at", UTCDateTime(), nullable=True),
        sa.Column("taken_at", UTCDateTime(), nullable=True),
        sa.Column("taker", sa.String(length=200), nullable=True),
        sa.Column("request_id", sa.String(length=200), nullable=True),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint("status IN ('available', 'gone', 'ordered', 'taken', 'wanted')", name="pool_number_status"),
        sa.PrimaryKeyConstraint("pool", "slot"),
    )
    with op.batch_alter_table("pool_number", schema=None) as batch_op:
        batch_op.create_index(
            "pool_number_available",
            ["pool", "available_at", "slot"],
            unique=False,
            sqlite_where=sa.text("status = 'available'"),
            postgresql_where=sa.text("status = 'available'"),
        )
        batch_op.create_index("pool_number_by_order_time", ["pool", "ordered_at"], unique=False)
        batch_op.create_index(
            "pool_number_by_purchase",
            ["purchase_id"],
            unique=True,
            sqlite_where=sa.text("purchase_id IS NOT NULL"),
            postgresql_where=sa.text("purchase_id IS NOT NULL"),
        )
        batch_op.create_index(
            "pool_number_by_request",
            ["request_id"],
            unique=False,
            sqlite_where=sa.text("request_id IS NOT NULL"),
            postgresql_where=sa.text("request_id IS NOT NULL"),
        )
        batch_op.create_index(
            "pool_number_gone",
            ["number"],
            unique=False,
            sqlite_where=sa.text("status = 'gone'"),
            postgresql_where=sa.text("status = 'gone'"),
        )
        batch_op.create_index(
            "pool_number_live",
            ["number"],
            unique=True,
            sqlite_where=sa.text("status IN ('ordered', 'available', 'taken')"),
            postgresql_where=sa.text("status IN ('ordered', 'available', 'taken')"),
        )
        batch_op.create_index(
            "pool_number_ordered",
            ["pool", "slot"],
            unique=False,
            sqlite_where=sa.text("status = 'ordered'"),
            postgresql_where=sa.text("status = 'ordered'"),
        )
        batch_op.create_index(
            "pool_number_wanted",
            ["pool", "slot"],
            unique=False,
            sqlite_where=sa.text("status = 'wanted'"),
            postgresql_where=sa.text("status = 'wanted'"),
        )


def _pool_request() -> None:
    op.create_table(
        "pool_request",
        sa.Column("request_id", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("pool", sa.String(length=40), nullable=False),
        sa.Column("task", sa.String(length=40), nullable=False),
        sa.Column("taker", sa.String(length=200), nullable=True),
        sa.Column("numbers", DOCUMENT, nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
    )


def _pool_run() -> None:
    op.create_table(
        "pool_run",
        sa.Column("id", ID, nullable=False),
        sa.Column("pool", sa.String(length=40), nullable=False),
        sa.Column("order_id", ID, nullable=True),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("ordered", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("pool_run", schema=None) as batch_op:
        batch_op.create_index(
            "pool_run_by_order",
            ["order_id"],
            unique=True,
            sqlite_where=sa.text("order_id IS NOT NULL"),
            postgresql_where=sa.text("order_id IS NOT NULL"),
        )
        batch_op.create_index("pool_run_by_pool", ["pool", "id"], unique=False)


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("pool_run", schema=None) as batch_op:
        batch_op.drop_index("pool_run_by_pool")
        batch_op.drop_index(
            "pool_run_by_order",
            sqlite_where=sa.text("order_id IS NOT NULL"),
            postgresql_where=sa.text("order_id IS NOT NULL"),
        )

    op.drop_table("pool_run")
    op.drop_table("pool_request")
    with op.batch_alter_table("pool_number", schema=None) as batch_op:
        batch_op.drop_index(
            "pool_number_wanted",
            sqlite_where=sa.text("status = 'wanted'"),
            postgresql_where=sa.text("status = 'wanted'"),
        )
        batch_op.drop_index(
            "pool_number_ordered",
            sqlite_where=sa.text("status = 'ordered'"),
            postgresql_where=sa.text("status = 'ordered'"),
        )
        batch_op.drop_index(
            "pool_number_live",
            sqlite_where=sa.text("status IN ('ordered', 'available', 'taken')"),
            postgresql_where=sa.text("status IN ('ordered', 'available', 'taken')"),
        )
        batch_op.drop_index(
            "pool_number_gone",
            sqlite_where=sa.text("status = 'gone'"),
            postgresql_where=sa.text("status = 'gone'"),
        )
        batch_op.drop_index(
            "pool_number_by_request",
            sqlite_where=sa.text("request_id IS NOT NULL"),
            postgresql_where=sa.text("request_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "pool_number_by_purchase",
            sqlite_where=sa.text("purchase_id IS NOT NULL"),
            postgresql_where=sa.text("purchase_id IS NOT NULL"),
        )
        batch_op.drop_index("pool_number_by_order_time")
        batch_op.drop_index(
            "pool_number_available",
            sqlite_where=sa.text("status = 'available'"),
            postgresql_where=sa.text("status = 'available'"),
        )

    op.drop_table("pool_number")
    op.drop_table("pool")
