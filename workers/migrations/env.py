"""Alembic's environment: migrations run on the connection that `workers.database.migrate` opened."""

from __future__ import annotations

from alembic import context

from schemas.tables import PURCHASE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=PURCHASE.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
