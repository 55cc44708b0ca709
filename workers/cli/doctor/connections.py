"""Whether PostgreSQL has a connection for all that its workers may ask for at once.

Workers are known by the name that their connections have, where the URL gives them no other.
https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS
"""

from __future__ import annotations

from sqlalchemy import Row, text

from workers.cli.doctor.findings import Finding, fail, ok
from workers.database.connect_options import WORKER
from workers.database.connections import SqlDatabase

BESIDE = 9
"""Connections that are left beside workers': four for Flower's pages, the rest for commands that people run."""

_HOUSE = text(
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    " - coalesce(current_setting('reserved_connections', true), '0')::int AS most,"
    " (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user) AS role,"
    " (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database()) AS base,"
    " count(DISTINCT (application_name, client_addr)) FILTER (WHERE ours AND application_name LIKE :worker) AS workers,"
    " count(*) FILTER (WHERE NOT ours) AS others"
    # Who sees a name is of the role: the names of others' are hidden.
    " FROM (SELECT *, coalesce(usename = current_user AND application_name LIKE 'dialstock%', false) AS ours"
    " FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL) AS sessions"
)


def connections(url: str, each: int) -> list[Finding]:
    """Compare what the connected workers may take, *each* so many, with what there is for them.

    Nothing of SQLite, nor of a pooler, which has limits of its own. Raises sqlalchemy.exc.SQLAlchemyError.
    """
    database = SqlDatabase(url)
    try:
        if database.engine.dialect.name == "sqlite":
            return []
        with database.read() as conn:
            pooled = conn.info["pooled"]
            return [] if pooled else [_compare(conn.execute(_HOUSE, {"worker": f"{WORKER} %"}).one(), each)]
    finally:
        database.close()


def _compare(house: Row[tuple[int, ...]], each: int) -> Finding:
    limits = [house.most - house.others, *(limit for limit in (house.role, house.base) if limit >= 0)]
    free, needed = min(limits) - BESIDE, house.workers * each
    if needed <= free:
        return ok("connections", f"{house.workers} worker processes take up to {needed} of {free} connections")
    fits = free // house.workers
    lower = f"set DIALSTOCK_DATABASE_CONNECTIONS={fits}, " if fits > 1 else ""
    return fail(
        "connections",
        f"{house.workers} worker processes take up to {needed} connections, and {max(free, 0)} are left for them",
        f"{lower}run fewer, raise max_connections (or the CONNECTION LIMIT) by {needed - free}, or use PgBouncer",
    )
