"""Calls to buy that a database lost, and the account at which somebody answered for each

What was answered for before, without an account, is of the account that its purchase stands at. The rest is asked for
once more: nothing says which of several accounts gave the answer.

Revision: 0017
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False).with_variant(sa.String(length=36), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "account_answer",
        sa.Column("account", AutoString(length=400), primary_key=True),
        sa.Column("purchase_id", ID, primary_key=True),
        sa.Column("revision", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("started_at", UTCDateTime(), primary_key=True),
        sa.Column("answered_at", UTCDateTime(), nullable=False),
    )
    op.execute(
        "INSERT INTO account_answer (account, purchase_id, revision, started_at, answered_at) "
        "SELECT purchase.account, call.purchase_id, call.revision, call.started_at, call.answered_at "
        "FROM answered_call AS call JOIN purchase ON purchase.id = call.purchase_id"
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("account_answer")
