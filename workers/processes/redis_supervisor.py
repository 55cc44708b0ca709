"""The detached process that owns the embedded Redis-compatible server.

    python -m workers.processes.redis_supervisor HOME PROGRAM

It starts the server, starts it again should it die, and shuts it down when no process holds the users' lock any more.
Three locks close the races: `supervisor` is held by the one supervisor, `server` by the server too (it inherits the
descriptor), so that no second server opens the same data, and `users` by everyone who uses it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

_POLL = 0.1
_READY_TIMEOUT = 25.0
_SHUTDOWN_TIMEOUT = 20.0
_MAX_REPLY = 4096
_START_TRIES = 3


class Files:
    """What stands under HOME/redis: the URL with the password, the log, the locks; and the server's data."""

    def __init__(self, home: Path) -> None:
        self.folder = home.absolute() / "redis"
        self.url = self.folder / "url"
        self.previous_url = self.folder / "url.previous"
        self.log = self.folder / "server.log"
        self.users = self.folder / "users.lock"
        self.starting = self.folder / "starting.lock"
        self.supervisor = self.folder / "supervisor.lock"
        self.server = self.folder / "server.lock"

    def read_url(self) -> str | None:
        """The URL of the server that answers; None while there is none."""
        return _read(self.url)

    def retire_url(self) -> str | None:
        """The URL of the last run, out of the users' sight; None before the first run."""
        with suppress(FileNotFoundError):
            self.url.replace(self.previous_url)
        return _read(self.previous_url)

    def write_url(self, url: str) -> None:
        """Seen whole or not at all, and only by this user."""
        new = self.url.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(url)
        new.replace(self.url)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None


def lock(path: Path, *, shared: bool = False) -> int:
    """Wait for a lock on the file and return its descriptor, which no exec'd child inherits. Raises OSError."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def try_lock(path: Path) -> int | None:
    """As lock, alone and at once; None where somebody holds it."""
    descriptor = _open(path)
    if _lock_now(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock_now(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def answers(url: str) -> bool:
    """Whether the server at *url* takes our password and has loaded its data."""
    return _ask(url, "PING").endswith(b"+PONG\r\n")


def _ask(url: str, command: str) -> bytes:
    """The replies to AUTH and *command*; empty where nobody listens. By hand, as importing a client takes longer."""
    parts = urlsplit(url)
    request = f"AUTH {parts.password}\r\n{command}\r\n".encode()
    reply = b""
    with suppress(OSError), socket.create_connection((parts.hostname, parts.port), timeout=1.0) as connection:
        connection.sendall(request)
        while reply.count(b"\r\n") < 2 and len(reply) < _MAX_REPLY and (part := connection.recv(_MAX_REPLY)):
            reply += part
    return reply


class Supervisor:
    """One server over one data folder. `run` returns when nobody uses it any more."""

    def __init__(self, files: Files, program: str, server_lock: int) -> None:
        self._files = files
        self._program = program
        self._server_lock = server_lock
        self._server: subprocess.Popen[bytes] | None = None

    def run(self, previous_url: str | None) -> int:
        """Returns the users' lock, held alone: new users wait on it until the caller closes it. Raises OSError."""
        # Opened once: by its name it would come back in a folder that somebody is just removing.
        users = _open(self._files.users)
        try:
            url = self._first_start(previous_url)
            self._files.write_url(url)
            while not _lock_now(users):
                self._keep_alive(url)
                time.sleep(_POLL)
        finally:
            self._stop()
        return users

    def _first_start(self, previous: str | None) -> str:
        # The same address as last time, where it is free: people write it down for other clients.
        url = previous if previous and _port_is_free(previous) else _new_url()
        for _ in range(_START_TRIES):
            if self._start(url):
                return url
            url = _new_url()
        raise OSError(f"{self._program} does not start")

    def _keep_alive(self, url: str) -> None:
        if self._server and self._server.poll() is not None and not self._start(url):
            raise OSError(f"{self._program} died and does not start again")

    def _start(self, url: str) -> bool:
        """Whether the server answers at *url*; False where it ended by itself."""
        self._server = self._spawn(url)
        deadline = time.monotonic() + _READY_TIMEOUT
        while time.monotonic() < deadline and self._server.poll() is None:
            if answers(url):
                return True
            time.sleep(0.005)
        self._stop()
        return False

    def _spawn(self, url: str) -> subprocess.Popen[bytes]:
        # The password goes by standard input: a command line can be read by every user of the machine.
        with self._files.log.open("ab") as log, tempfile.TemporaryFile(dir=self._files.folder) as configuration:
            configuration.write(_configuration(self._files, url).encode())
            configuration.seek(0)
            return subprocess.Popen(  # noqa: S603 - the program is the user's own choice
                [self._program, "-"], stdin=configuration, stdout=log, stderr=log, pass_fds=[self._server_lock]
            )

    def _stop(self) -> None:
        """SIGTERM is the server's clean shutdown: it flushes its append-only file."""
        if self._server is None or self._server.poll() is not None:
            return
        self._server.terminate()
        try:
            self._server.wait(_SHUTDOWN_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()


def _configuration(files: Files, url: str) -> str:
    parts = urlsplit(url)
    lines = {
        "bind": "127.0.0.1",
        "port": parts.port,
        "protected-mode": "yes",
        "requirepass": parts.password,
        "dir": _quoted(files.folder),
        "logfile": _quoted(files.log),
        "loglevel": "warning",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _new_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://:{secrets.token_hex(24)}@127.0.0.1:{probe.getsockname()[1]}/0"


def _port_is_free(url: str) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", urlsplit(url).port))
        except OSError:
            return False
    return True


def _lock_server(files: Files, previous_url: str | None) -> int:
    """The server's lock; a server whose supervisor was killed still holds it, and is asked to shut down first."""
    deadline = time.monotonic() + _SHUTDOWN_TIMEOUT
    while (held := try_lock(files.server)) is None:
        if time.monotonic() > deadline:
            raise OSError("a server of an earlier run holds the data and does not shut down")
        if previous_url:
            _ask(previous_url, "SHUTDOWN")
        time.sleep(_POLL)
    return held


def _exit_on_sigterm(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _supervise(files: Files, program: str, supervising: int) -> None:
    previous_url = files.retire_url()
    server_lock = _lock_server(files, previous_url)
    try:
        users = Supervisor(files, program, server_lock).run(previous_url)
    finally:
        files.retire_url()
    # In this order: whoever gets the users' lock next must find the others free.
    os.close(server_lock)
    os.close(supervising)
    os.close(users)


def main(home: str, program: str) -> None:
    """Detach and supervise until nobody uses the server; ends at once where another supervisor does so already."""
    files = Files(Path(home))
    supervising = try_lock(files.supervisor)
    if supervising is None:
        return
    # The lock outlives the parent's exit: parent and child share one open file.
    if os.fork():
        os._exit(0)
    os.chdir(files.folder)
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    try:
        _supervise(files, program, supervising)
    except OSError as exc:
        sys.exit(f"dialstock: the embedded server: {exc}")


if __name__ == "__main__":
    main(*sys.argv[1:])
