"""Alembic's environment: migrations run on the connection that `workers.database.connections.migrate` opened."""

from __future__ import annotations

from alembic import context

import schemas.account_tables
import schemas.history_tables
import schemas.pool_tables  # noqa: F401 - its tables join the metadata
from schemas.tables import PURCHASE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=PURCHASE.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
