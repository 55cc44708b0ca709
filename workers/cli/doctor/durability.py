"""Whether PostgreSQL keeps what it was told to commit: through a power cut, and through a failover.

What a session can set is set with each transaction (workers.database.connections): synchronous_commit. The rest is
the server's.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from workers.cli.doctor.findings import Finding, fail, ok, warn
from workers.database.connections import SqlDatabase

_SETTINGS = text(
    "SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,"
    " current_setting('synchronous_standby_names') AS standbys"
)
# Who may not see what a replica does sees that it is there.
_REPLICAS = text("SELECT count(*) FROM pg_stat_replication WHERE coalesce(state, 'streaming') <> 'backup'")


def durability(url: str) -> list[Finding]:
    """What a crash may cost; nothing of SQLite, which is set up for one. Raises sqlalchemy.exc.SQLAlchemyError."""
    database = SqlDatabase(url)
    try:
        if database.engine.dialect.name == "sqlite":
            return []
        with database.read() as conn:
            return list(_examine(conn)) or [ok("durability", "what is committed survives a power cut")]
    finally:
        database.close()


def _examine(conn: Connection) -> Iterator[Finding]:
    found = conn.execute(_SETTINGS).one()
    if found.fsync == "off":
        message = "fsync is off: a power cut loses purchases that are under way, and they are bought again"
        yield fail("durability", message, "set fsync = on in postgresql.conf, and reload")
    if found.pages == "off":
        message = "full_page_writes is off: a power cut may leave pages half written, which nobody can read"
        yield warn("durability", message, "set full_page_writes = on, unless the file system writes pages whole")
    replicas = conn.execute(_REPLICAS).scalar_one()
    if replicas and not found.standbys:
        message = f"its replicas ({replicas}) are asynchronous: one that is promoted lacks the last purchases under way"
        mend = "set synchronous_standby_names; else run `dialstock audit --adopt` before workers start after a failover"
        yield warn("durability", message, mend)
