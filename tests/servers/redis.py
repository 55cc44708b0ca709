"""A private Redis-compatible server that can be killed and started again with its data."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

START_TIMEOUT = 60.0
_START_TRIES = 5


class RedisServer:
    """Append-only, like production; `url` stays the same over kill and restart."""

    def __init__(self, program: str, *, options: Sequence[str] = ()) -> None:
        self._options = options
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="dialstock-redis-")
        self._process: subprocess.Popen[bytes] | None = None
        for _ in range(_START_TRIES):
            self._port = free_port()
            if self._start():
                return
        raise RuntimeError(f"{program} does not start:\n{self.log()}")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def socket_url(self) -> str:
        """The same over a Unix socket, which takes half the time."""
        return f"unix://{self.folder}/socket"

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    @property
    def pid(self) -> int:
        return self._running().pid

    def flushall(self) -> None:
        with Redis.from_url(self.url) as client:
            client.flushall()

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        self._running().kill()
        self._running().wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still, as on a paused machine whose kernel still acknowledges what comes."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start it again, after a kill or not; returns when it answers, with the data that it had."""
        self.stop()
        if not self._start():
            raise RuntimeError(f"the server does not start again:\n{self.log()}")

    def lose_data(self) -> None:
        """Forget everything on disk; for a server that is dead."""
        assert self._running().poll() is not None
        shutil.rmtree(self._data, ignore_errors=True)

    def copy_data(self, to: Path) -> None:
        """Copy what is on disk now, as a snapshot of the disk does."""
        shutil.copytree(self._data, to)

    def put_back(self, copy: Path) -> None:
        """Have the data of a copy; for a server that is dead and has none."""
        shutil.copytree(copy, self._data)

    def ensure_running(self) -> None:
        if self._running().poll() is not None:
            self.restart()

    def stop(self) -> None:
        """SIGTERM, a clean shutdown; returns when the process is gone."""
        if self._running().poll() is None:
            self._running().terminate()
            # One that a test has stopped would not hear of it.
            self._running().send_signal(signal.SIGCONT)
        self._running().wait(START_TIMEOUT)

    def close(self) -> None:
        self.stop()
        self._folder.cleanup()

    def log(self) -> str:
        return (Path(self._folder.name) / "log").read_text(errors="replace")[-2000:]

    @property
    def _data(self) -> Path:
        return self.folder / "appendonlydir"

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _start(self) -> bool:
        # No waiting for the disk: by default an answered write waits for a sync under way, and SIGKILL loses it.
        options = {"port": self._port, "bind": "127.0.0.1", "dir": self._folder.name, "save": ""}
        options |= {"appendonly": "yes", "appendfsync": "no", "unixsocket": f"{self._folder.name}/socket"}
        # A title of its own would overwrite the environment, by which a run finds what it left.
        options |= {"set-proc-title": "no"}
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        with (Path(self._folder.name) / "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *arguments, *self._options], stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers():
                return True
            time.sleep(0.01)
        self.stop()
        return False

    def _answers(self) -> bool:
        # The pid tells our server from another that took the port first; a server that loads its data refuses work.
        try:
            with Redis.from_url(self.url, socket_timeout=2) as client:
                info = client.info()
                return info["process_id"] == self.pid and not info["loading"]
        except (RedisError, OSError):
            return False


PORTS = range(20_000, 32_768)
"""Below those that systems give to who asks for any: a server that starts late, or again, finds its port free."""


def free_port() -> int:
    """A port of this process's own, for as long as it lives; nobody listens there.

    No other process takes it with this function: the port of the same number is held for UDP, which none of ours uses.
    """
    for port in random.sample(PORTS, len(PORTS)):
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        # Nobody closes it but the end of the process.
        mark.detach()
        return port
    raise RuntimeError("no port is free")
