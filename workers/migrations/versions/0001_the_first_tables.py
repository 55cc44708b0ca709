"""The first tables

Revision: 0001
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.String(length=36), "sqlite")
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Apply."""
    _outbox_event()
    _provider_state()
    _purchase()
    _purchase_attempt()
    _purchase_key()
    _purchase_order()
    _purchase_order_line()
    _rejected_request()


def downgrade() -> None:
    """Undo."""
    for table in (
        "rejected_request",
        "purchase_order_line",
        "purchase_order",
        "purchase_key",
        "purchase_attempt",
        "purchase",
        "provider_state",
        "outbox_event",
    ):
        op.drop_table(table)


def _outbox_event() -> None:
    op.create_table(
        "outbox_event",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("type", sa.String(length=60), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("time", UTCDateTime(), nullable=False),
        sa.Column("data", DOCUMENT, nullable=False),
        sa.Column("published_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
    )

    with op.batch_alter_table("outbox_event", schema=None) as batch_op:
        batch_op.create_index("outbox_event_time", ["time"], unique=False)
        batch_op.create_index(
            "outbox_event_unpublished",
            ["seq"],
            unique=False,
            sqlite_where=sa.text("published_at IS NULL"),
            postgresql_where=sa.text("published_at IS NULL"),
        )


def _provider_state() -> None:
    op.create_table(
        "provider_state",
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("paused_at", UTCDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("cause", sa.String(length=20), nullable=True),
        sa.Column("probe_at", UTCDateTime(), nullable=True),
        sa.Column("cooldown", sa.Float(), nullable=True),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("provider"),
    )


def _purchase() -> None:
    op.create_table(
        "purchase",
        sa.Column("id", ID, nullable=False),
        sa.Column("order_id", ID, nullable=True),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=400), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_code", sa.String(length=80), nullable=True),
        sa.Column("already_owned", sa.Boolean(), nullable=False),
        sa.Column("provider_number_id", sa.String(length=200), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("options", DOCUMENT, nullable=False),
        sa.Column("metadata", DOCUMENT, nullable=False),
        sa.Column("cancel_requested_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("doubt", sa.Boolean(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("look_failures", sa.Integer(), nullable=False),
        sa.Column("call_deadline", UTCDateTime(), nullable=True),
        sa.Column("first_attempt_at", UTCDateTime(), nullable=True),
        sa.Column("tried_seconds", sa.Float(), nullable=False),
        sa.CheckConstraint(
            "status IN ('cancelled', 'dispatched', 'failed', 'held', 'processing', 'purchased', 'purchasing', 'queued', 'released', 'unknown')",
            name="purchase_status",
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("idempotency_key"),
    )

    with op.batch_alter_table("purchase", schema=None) as batch_op:
        batch_op.create_index(
            "purchase_alive",
            ["account", "number"],
            unique=True,
            sqlite_where=sa.text("status NOT IN ('cancelled', 'failed', 'released')"),
            postgresql_where=sa.text("status NOT IN ('cancelled', 'failed', 'released')"),
        )
        batch_op.create_index("purchase_by_number", ["number"], unique=False)
        batch_op.create_index("purchase_by_order", ["order_id", "status", "provider"], unique=False)
        batch_op.create_index(
            "purchase_followed",
            ["provider", "due_at"],
            unique=False,
            sqlite_where=sa.text("status IN ('processing', 'unknown')"),
            postgresql_where=sa.text("status IN ('processing', 'unknown')"),
        )
        batch_op.create_index(
            "purchase_held",
            ["provider", "updated_at"],
            unique=False,
            sqlite_where=sa.text("status = 'held'"),
            postgresql_where=sa.text("status = 'held'"),
        )
        batch_op.create_index("purchase_last_call", ["provider", "call_deadline"], unique=False)
        batch_op.create_index(
            "purchase_queued",
            ["provider", "order_id", "due_at"],
            unique=False,
            sqlite_where=sa.text("status = 'queued'"),
            postgresql_where=sa.text("status = 'queued'"),
        )
        batch_op.create_index(
            "purchase_running",
            ["provider", "due_at"],
            unique=False,
            sqlite_where=sa.text("status IN ('dispatched', 'purchasing')"),
            postgresql_where=sa.text("status IN ('dispatched', 'purchasing')"),
        )


def _purchase_attempt() -> None:
    op.create_table(
        "purchase_attempt",
        sa.Column("purchase_id", ID, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("deadline", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(length=80), nullable=True),
        sa.Column("provider_number_id", sa.String(length=200), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("purchase_id", "revision"),
    )


def _purchase_key() -> None:
    op.create_table(
        "purchase_key",
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("purchase_id", ID, nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("idempotency_key"),
    )

    with op.batch_alter_table("purchase_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purchase_key_purchase_id"), ["purchase_id"], unique=False)


def _purchase_order() -> None:
    op.create_table(
        "purchase_order",
        sa.Column("id", ID, nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("max_purchases", sa.Integer(), nullable=True),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("metadata", DOCUMENT, nullable=False),
        sa.Column("cancel_requested_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("completed_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("status IN ('abandoned', 'completed', 'loading', 'open')", name="purchase_order_status"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("idempotency_key"),
    )

    with op.batch_alter_table("purchase_order", schema=None) as batch_op:
        batch_op.create_index("purchase_order_created", ["created_at"], unique=False)
        batch_op.create_index(
            "purchase_order_unfinished",
            ["status"],
            unique=False,
            sqlite_where=sa.text("status IN ('loading', 'open')"),
            postgresql_where=sa.text("status IN ('loading', 'open')"),
        )


def _purchase_order_line() -> None:
    op.create_table(
        "purchase_order_line",
        sa.Column("order_id", ID, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("purchase_id", ID, nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("metadata", DOCUMENT, nullable=True),
        sa.PrimaryKeyConstraint("order_id", "line"),
    )

    with op.batch_alter_table("purchase_order_line", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purchase_order_line_purchase_id"), ["purchase_id"], unique=False)
        batch_op.create_index(
            "purchase_order_line_shared",
            ["order_id"],
            unique=False,
            sqlite_where=sa.text("shared"),
            postgresql_where=sa.text("shared"),
        )


def _rejected_request() -> None:
    op.create_table(
        "rejected_request",
        sa.Column("id", ID, nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("task", sa.String(length=200), nullable=True),
        sa.Column("message_id", sa.String(length=200), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("error_code", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )

    with op.batch_alter_table("rejected_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rejected_request_message_id"), ["message_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_rejected_request_received_at"), ["received_at"], unique=False)
