"""PgBouncer in transaction mode before a PostgreSQL: each transaction gets another of its few sessions."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from tests.servers.availability import unavailable
from tests.servers.postgres import START_TIMEOUT, PostgresServer
from tests.servers.redis import free_port

# As a package leaves it where its folder is not on the path of an ordinary user.
_PLACES = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"))
_OPTIONS = {
    "pool_mode": "transaction",
    "auth_type": "any",
    "admin_users": "postgres",
    "listen_addr": "127.0.0.1",
    "unix_socket_dir": "",
    "default_pool_size": "4",
    "server_login_retry": "1",
    "query_wait_timeout": "10",
}


def find_pgbouncer() -> str:
    """The program; where there is none, the test is skipped or fails."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=_PLACES)
    return found or unavailable("PgBouncer", "install it, for example with `apt-get install pgbouncer`")


class PgBouncer:
    """A pooler before *server*, with *options* of its own; `url` leads to a database through it."""

    def __init__(self, server: PostgresServer, **options: str) -> None:
        self._program = find_pgbouncer()
        self._server = server
        self.options = {**_OPTIONS, **options}
        self._temporary = tempfile.TemporaryDirectory(prefix="dialstock-pgbouncer-")
        self._folder = Path(self._temporary.name)
        self._folder.chmod(0o777)
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, direct: str) -> str:
        """The database of the URL *direct*, through the pooler."""
        return str(make_url(direct).set(query={}, host="127.0.0.1", port=self._port))

    def start(self) -> None:
        """Start it; returns when it takes connections."""
        lines = [f"{name} = {value}" for name, value in {**self.options, "listen_port": str(self._port)}.items()]
        configuration = self._folder / "pgbouncer.ini"
        databases = f"[databases]\n* = host={self._server.folder} user=postgres\n"
        configuration.write_text("\n".join((databases, "[pgbouncer]", *lines, "")))
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, configuration], stdout=log, stderr=log, **self._server.as_owner()
            )
        deadline = time.monotonic() + START_TIMEOUT
        while self._process.poll() is None and time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                self.tell("SHOW VERSION")
                return
            time.sleep(0.02)
        raise RuntimeError(f"PgBouncer does not start:\n{self.log()}")

    def tell(self, command: str) -> list[dict[str, Any]]:
        """Run a command of its console, like PAUSE or SHOW POOLS."""
        where = f"host=127.0.0.1 port={self._port} user=postgres dbname=pgbouncer"
        # The console knows the simple protocol only.
        with (
            psycopg.connect(where, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection,
            connection.cursor(row_factory=psycopg.rows.dict_row) as cursor,
        ):
            cursor.execute(command.encode())
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._temporary.cleanup()

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2000:]
