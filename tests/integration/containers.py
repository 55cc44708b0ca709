"""What pytest-celery's nodes ask of a Docker container, done by a process on this machine."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_celery import CeleryWorkerContainer, RedisContainer

from tests import forked
from tests.servers import RedisServer
from tests.waiting import PATIENCE, eventually

STOP_TIMEOUT = PATIENCE


class LocalProcess:
    """The nine members of a Docker container that pytest-celery uses; its output goes to the file *log*."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command = list(command)
        self._environ = dict(environ)
        self._log = log
        self._process = self._start()

    @property
    def id(self) -> str:
        return str(self._process.pid)

    @property
    def status(self) -> str:
        return "running" if self._process.poll() is None else "exited"

    @property
    def attrs(self) -> dict[str, Any]:
        return {"Config": {"Hostname": "localhost"}, "NetworkSettings": {"Networks": {}, "Ports": {}}}

    def reload(self) -> None:
        """Nothing is remembered, so nothing is stale."""

    def restart(self, timeout: float = STOP_TIMEOUT) -> None:
        self.stop(timeout)
        self._process = self._start()

    def kill(self, signal: str | None = None) -> None:
        """Send a signal by its name, SIGKILL without one; returns at once."""
        self._process.send_signal(_number(signal or "SIGKILL"))

    def logs(self) -> bytes:
        return self._log.read_bytes()

    def exec_run(self, cmd: str) -> tuple[int, bytes]:
        """Run a command in the process's environment; its exit status and its output."""
        done = subprocess.run(
            shlex.split(cmd),
            env=self._environ,
            cwd=self._log.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """The exit status, once it has ended."""
        return self._process.wait(timeout)

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """SIGTERM, and SIGKILL to what outstays *timeout*."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return forked.start(
                self._command,
                env=self._environ,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


class LocalWorker(CeleryWorkerContainer):
    """One worker process of ours."""

    ready_prompt = "ready."

    @classmethod
    def worker_queue(cls) -> str:
        return "purchases"

    @classmethod
    def command(cls, *args: str, **_: Any) -> list[str]:
        """Celery's own command line, as anyone would type it."""
        options = ["--pool=threads", "--concurrency=30", "--without-mingle", "--without-gossip", "--loglevel=INFO"]
        return ["celery", "-A", "workers.app:app", "worker", *options, *args]

    def ready(self) -> bool:
        """Whether it takes messages; fails at once where it has ended instead."""

        def answers() -> bool:
            assert self.status == "running", f"{self.name} has ended:\n{self.logs()[-3000:]}"
            return self.ready_prompt in self.logs()

        return eventually(answers, what=f"{self.name} is ready")

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        return self._container.wait(timeout)

    def teardown(self) -> None:
        self._container.stop()


class LocalRedis(RedisContainer):
    """A Redis server that a fixture started, and stops."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__(server)
        self._server = server

    @property
    def celeryconfig(self) -> dict[str, str]:
        return {"url": self._server.url, "host_url": self._server.url}

    def ready(self) -> bool:
        self._server.ensure_running()
        return True


def _number(name: str) -> signal.Signals:
    return signal.Signals[name]
