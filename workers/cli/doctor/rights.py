"""Whether the role that runs has the rights on our tables that deploy/README.md names; nothing of SQLite."""

from __future__ import annotations

from sqlalchemy import text

from schemas.tables import accounts, audits, history, pools, purchases
from workers.cli.doctor.findings import Finding, fail, ok
from workers.database.connections import SqlDatabase

_TABLES = sorted(
    {*accounts.LEFT.metadata.tables, *(one.name for one in (audits.FINDING, history.ANSWERED, pools.POOL))}
)

# The number of an event comes from a sequence. A table that is not there has no rights, and is told of elsewhere.
_MISSING = text(
    "SELECT string_agg(needed, ', ') AS needed, object FROM ("
    " SELECT needed, name AS object, has_table_privilege(to_regclass(name), needed) AS given"
    " FROM unnest(cast(:tables AS text[])) AS name, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS needed"
    " UNION ALL SELECT 'USAGE', 'SEQUENCE ' || sequence, has_sequence_privilege(sequence, 'USAGE')"
    " FROM pg_get_serial_sequence(:events, 'seq') AS sequence"
    ") AS rights WHERE NOT given GROUP BY object ORDER BY object"
)


def rights(url: str) -> list[Finding]:
    """A line for each table on which one is missing. Raises sqlalchemy.exc.SQLAlchemyError."""
    database = SqlDatabase(url)
    try:
        if database.engine.dialect.name == "sqlite":
            return []
        with database.read() as conn:
            lacking = conn.execute(_MISSING, {"tables": _TABLES, "events": purchases.EVENT.name}).all()
        missing = [fail("rights", f"its role lacks {needed} on {on}", _mend(needed, on)) for needed, on in lacking]
        return missing or [ok("rights", "its role may do all that is needed")]
    finally:
        database.close()


def _mend(needed: str, on: str) -> str:
    return f"have the tables' owner run: GRANT {needed} ON {on} TO the role (deploy/README.md names all)"
