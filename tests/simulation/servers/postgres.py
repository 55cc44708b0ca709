"""The same worlds on PostgreSQL: a server of its own, and a copy in SQLite of what is committed, for those who judge.

A transaction is one step here too, so none waits for another, but in worlds that are shared (`writers.py`). What a test
cannot decide is left out: no autovacuum, no connection and no file from an earlier world, and RANDOM() is the seed's.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, Table, create_engine, delete, select, tuple_
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import make_url
from sqlalchemy.pool import StaticPool
from sqlmodel.sql.sqltypes import UTCDateTime

import schemas.tables.versions  # noqa: F401 - its tables join the metadata
from schemas.tables.purchases import PURCHASE
from tests.servers.postgres import PostgresServer
from tests.simulation.scheduler.clockwork import Broken, Clockwork
from tests.simulation.servers.tables import Files
from tests.simulation.servers.writers import Writers
from workers.database.commit_outcome import MARKED
from workers.database.connections import make_engine

Key = tuple[Any, ...]

CONNECTIONS = 30
"""Of a process: more than it has threads."""

# Rows are written down as they change, so that the copy reads no more than those.
_CHANGES = """
CREATE SCHEMA kept;
CREATE UNLOGGED TABLE kept.change (seq bigserial, of text, key jsonb);
CREATE FUNCTION kept.changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE changed jsonb; names text[] := TG_ARGV;
BEGIN
    FOREACH changed IN ARRAY ARRAY[to_jsonb(OLD), to_jsonb(NEW)] LOOP
        CONTINUE WHEN changed IS NULL;
        INSERT INTO kept.change (of, key)
            SELECT TG_TABLE_NAME, jsonb_agg(changed -> name ORDER BY place)
            FROM unnest(names) WITH ORDINALITY AS one (name, place);
    END LOOP;
    RETURN NULL;
END $$;
"""
_SEQUENCES = "SELECT sequencename, coalesce(last_value, start_value), last_value IS NOT NULL FROM pg_sequences"
_SEQUENCES += " WHERE schemaname = 'public'"


class Cluster(Files):
    """PostgreSQL's database, its copy for the judges, and the engines of a world's processes."""

    def __init__(self, package: Path) -> None:
        super().__init__()
        self._server = PostgresServer(package, autovacuum="off")
        self._database = self._server.database()
        self._url = self._database.__enter__()
        self._admin = psycopg.connect(
            make_url(self._url).set(drivername="postgresql").render_as_string(), autocommit=True
        )
        self._ours = PURCHASE.metadata.sorted_tables
        self._of = {table.name: table for table in self._ours}
        self._names = ", ".join(f"public.{table.name}" for table in self._ours)
        self._writers = Writers(self._admin)
        self._sequences: list[tuple[str, int, bool]] = []
        self._source = make_engine(self._url)
        self._mirror = create_engine("sqlite://", creator=lambda: self._live, poolclass=StaticPool)
        self._watch()

    def _watch(self) -> None:
        """Each change is written down; the copy has no constraint, for it takes over rows one after the other."""
        self._admin.execute(_CHANGES)
        for table in self._ours:
            keys = ", ".join(f"'{column.name}'" for column in table.primary_key)
            self._admin.execute(f"CREATE UNLOGGED TABLE kept.{table.name} (LIKE public.{table.name})")
            self._admin.execute(
                f"CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON public.{table.name} "
                f"FOR EACH ROW EXECUTE FUNCTION kept.changed({keys})"
            )
        unique = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '%UNIQUE%'"
        for (name,) in self._live.execute(unique).fetchall():
            self._live.execute(f"DROP INDEX {name}")

    def begin(self) -> None:
        super().begin()
        self._end_sharing()
        self._admin.execute(f"TRUNCATE {self._names}, kept.change RESTART IDENTITY CASCADE")

    def share(self, clockwork: Clockwork) -> None:
        self.shared = True
        self._writers.begin(clockwork, self._server_name())

    @property
    def met(self) -> Counter[str]:
        return self._writers.met

    def copy(self) -> None:
        super().copy()
        self._sequences = self._admin.execute(_SEQUENCES).fetchall()
        self._move("public", "kept")

    def restore(self) -> None:
        super().restore()
        if self.shared:
            self._writers.end_all(self._server_name())
        self._move("kept", "public")
        for name, value, called in self._sequences:
            self._admin.execute("SELECT setval(%s::regclass, %s, %s)", [f"public.{name}", value, called])

    def _move(self, source: str, target: str) -> None:
        with self._admin.transaction():
            self._admin.execute("SET LOCAL session_replication_role = replica")
            self._admin.execute("TRUNCATE " + ", ".join(f"{target}.{table.name}" for table in self._ours) + " CASCADE")
            for table in self._ours:
                columns = ", ".join(f'"{column.name}"' for column in table.columns)
                self._admin.execute(
                    f"INSERT INTO {target}.{table.name} ({columns}) OVERRIDING SYSTEM VALUE "
                    f"SELECT {columns} FROM {source}.{table.name}"
                )

    def written(self) -> None:
        """Have the copy take over what changed."""
        super().written()
        try:
            self._take_over_changes()
        except Exception as exc:
            # Code under test must not catch it.
            raise Broken("what is committed cannot be copied for those who judge") from exc

    def _take_over_changes(self) -> None:
        keys: dict[str, dict[Key, None]] = {}
        for name, key in self._admin.execute("DELETE FROM kept.change RETURNING of, key").fetchall():
            keys.setdefault(name, {})[_key(self._of[name], key)] = None
        if not keys:
            return
        with self._source.connect() as source, self._mirror.connect() as mirror:
            self._live.execute("BEGIN IMMEDIATE")
            for name, changed in keys.items():
                _take_over(source, mirror, self._of[name], list(changed))
            mirror.commit()

    def unlike(self) -> list[str]:
        """The tables whose copy has other rows."""
        with self._source.connect() as source, self._mirror.connect() as mirror:
            ordered = [select(table).order_by(*table.primary_key) for table in self._ours]
            return [
                table.name
                for table, rows in zip(self._ours, ordered, strict=True)
                if source.execute(rows).all() != mirror.execute(rows).all()
            ]

    def lend(self, engine: Engine) -> Any:
        found = super().lend(engine)
        with found.begin():
            found.exec_driver_sql(f"SELECT setseed({random.random()})")
        return found

    def engine(self, number: int) -> Engine:
        found = super().engine(number)
        if self.shared:
            # Those of a process that was killed.
            found.dispose()
        found._connection_cls = Connection if self.shared else _Connection
        return found

    def _server_name(self) -> str:
        return f"server {self.restores}" if self.named else ""

    def _take_back(self) -> None:
        for _, one in self._lent:
            # Its pool may be gone: that of a process that was killed.
            one.detach()
        super()._take_back()

    def _end_sharing(self) -> None:
        for engine in self._engines if self.shared else ():
            engine.dispose()
        self._writers.close_all()
        self.shared = False

    def close(self) -> None:
        self._end_sharing()
        super().close()
        self._source.dispose()
        self._admin.close()
        self._database.__exit__(None, None, None)
        self._server.close()

    def _make_engine(self) -> Engine:
        # Nobody may wait for a connection: that would be real time.
        engine = make_engine(self._url, connections=CONNECTIONS)
        self._writers.serve(engine)
        return engine


class _Connection(Connection):
    """Says which BEGIN of `database.connections` it is, for it is kept."""

    reads = False

    def _begin_impl(self, transaction: Any) -> None:
        self.execution_options(**{"dialstock_read": self.reads, MARKED: not self.reads})
        super()._begin_impl(transaction)


def _key(table: Table, key: Sequence[Any]) -> Key:
    """As Python's values, from JSON's."""
    columns = zip(table.primary_key, key, strict=True)
    return tuple(
        datetime.fromisoformat(one) if isinstance(column.type, UTCDateTime) else one for column, one in columns
    )


def _take_over(source: Any, mirror: Any, table: Table, keys: Sequence[Key]) -> None:
    at = tuple_(*table.primary_key)
    rows = [dict(row) for row in source.execute(select(table).where(at.in_(keys))).mappings()]
    names = [column.name for column in table.primary_key]
    there = {tuple(row[name] for name in names) for row in rows}
    if gone := [key for key in keys if key not in there]:
        mirror.execute(delete(table).where(at.in_(gone)))
    if rows:
        new = insert(table)
        values = {column.name: new.excluded[column.name] for column in table.columns}
        mirror.execute(new.on_conflict_do_update(index_elements=names, set_=values), rows)
