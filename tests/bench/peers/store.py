"""The table of the hand-written task, with the bare driver: one connection for each thread, one statement a commit."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from typing import Protocol

import psycopg

_TABLE = """
CREATE TABLE purchase (
    number VARCHAR(16) PRIMARY KEY,
    status VARCHAR(12) NOT NULL,
    provider_number_id VARCHAR(200),
    error TEXT,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
"""
_BEGIN = """
INSERT INTO purchase (number, status, created_at, updated_at) VALUES (?, 'purchasing', ?, ?) ON CONFLICT DO NOTHING
"""
_STATUS = "SELECT status FROM purchase WHERE number = ?"
_FINISH = "UPDATE purchase SET status = ?, provider_number_id = ?, error = ?, updated_at = ? WHERE number = ?"
_BOUGHT = "SELECT count(*) FROM purchase WHERE status = 'purchased'"


class Store(Protocol):
    """The status of each number."""

    def create(self) -> None:
        """Make the table."""

    def begin(self, number: str) -> bool:
        """Note that a number is being bought; false where it was bought before."""

    def finish(self, number: str, status: str, known: str | None, error: str | None) -> None:
        """Note how it went."""

    def bought(self) -> int:
        """How many numbers were bought."""

    def close(self) -> None:
        """Close this thread's connection."""


def open_store(url: str) -> Store:
    """The store at a DATABASE_URL."""
    if url.startswith("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"))
    return PostgresStore(url.replace("+psycopg", ""))


class SqliteStore:
    """WAL without a sync at each commit, and a lock: one writer at a time is quicker than many that poll."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        self._lock = threading.Lock()

    def create(self) -> None:
        self._connection().execute("PRAGMA journal_mode=WAL")
        self._connection().execute(_TABLE.format(time="TEXT"))

    def begin(self, number: str) -> bool:
        now = datetime.now(UTC).isoformat()
        with self._lock:
            done = self._connection().execute(_BEGIN, (number, now, now))
        return done.rowcount == 1 or self._connection().execute(_STATUS, (number,)).fetchone()[0] != "purchased"

    def finish(self, number: str, status: str, known: str | None, error: str | None) -> None:
        now = datetime.now(UTC).isoformat()
        with self._lock:
            self._connection().execute(_FINISH, (status, known, error, now, number))

    def bought(self) -> int:
        return int(self._connection().execute(_BOUGHT).fetchone()[0])

    def close(self) -> None:
        self._connection().close()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
            connection.execute("PRAGMA synchronous=NORMAL")
        return connection


class PostgresStore:
    """psycopg prepares a statement by itself once it was run five times."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = threading.local()

    def create(self) -> None:
        self._connection().execute(_TABLE.format(time="TIMESTAMPTZ"))

    def begin(self, number: str) -> bool:
        now = datetime.now(UTC)
        done = self._connection().execute(_postgres(_BEGIN), (number, now, now))
        if done.rowcount == 1:
            return True
        found = self._connection().execute(_postgres(_STATUS), (number,)).fetchone()
        return found is None or found[0] != "purchased"

    def finish(self, number: str, status: str, known: str | None, error: str | None) -> None:
        self._connection().execute(_postgres(_FINISH), (status, known, error, datetime.now(UTC), number))

    def bought(self) -> int:
        found = self._connection().execute(_BOUGHT).fetchone()
        return found[0] if found else 0

    def close(self) -> None:
        self._connection().close()

    def _connection(self) -> psycopg.Connection[tuple[object, ...]]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = psycopg.connect(self._url, autocommit=True)
        return connection


def _postgres(statement: str) -> str:
    return statement.replace("?", "%s")
