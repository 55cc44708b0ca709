"""A database that goes back in time: a copy of it is taken, and put in its place later."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

_copies = (f"copy_{number}" for number in itertools.count(1))


class Backup:
    """The database at *url* as it is now, while others work with it: PostgreSQL ends their connections for that."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._copy = next(_copies)
        if self._sqlite:
            _copy_file(self._file, self._file.with_name(self._copy))
        else:
            with _closed(self._url):
                self._create(self._copy, str(self._url.database))

    def restore(self) -> None:
        """Put it back. PostgreSQL ends all connections; on SQLite nobody may have the file open."""
        if self._sqlite:
            for old in self._file.parent.glob(f"{self._file.name}*"):
                old.unlink()
            _copy_file(self._file.with_name(self._copy), self._file)
            return
        _execute(self._url, f"DROP DATABASE {self._url.database} WITH (FORCE)")
        self._create(str(self._url.database), self._copy)

    def close(self) -> None:
        """Remove the copy."""
        if not self._sqlite:
            _execute(self._url, f"DROP DATABASE IF EXISTS {self._copy} WITH (FORCE)")

    def _create(self, name: str, template: str) -> None:
        # as files, which without fsync is twice as quick as through the log
        _execute(self._url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")

    @property
    def _sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @property
    def _file(self) -> Path:
        return Path(self._url.database or "")


def _copy_file(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@contextmanager
def _closed(url: URL) -> Iterator[None]:
    """Nobody is connected, and nobody can be."""
    _execute(url, f"ALTER DATABASE {url.database} WITH ALLOW_CONNECTIONS false")
    try:
        others = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{url.database}'"
        _execute(url, others)
        yield
    finally:
        _execute(url, f"ALTER DATABASE {url.database} WITH ALLOW_CONNECTIONS true")


def _execute(url: URL, statement: str) -> None:
    where = {"host": str(url.query["host"]), "user": url.username, "dbname": "postgres"}
    with psycopg.connect(**where, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute(statement)
