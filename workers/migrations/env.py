"""Alembic's environment: migrations run on the connection that `workers.database.connections.migrate` opened."""

from __future__ import annotations

from alembic import context

import schemas.tables.accounts
import schemas.tables.audits
import schemas.tables.history
import schemas.tables.pools
import schemas.tables.processes
import schemas.tables.releases
import schemas.tables.versions  # noqa: F401 - its tables join the metadata
from schemas.tables.purchases import PURCHASE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=PURCHASE.metadata,
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
