"""`dialstock` as a process, run to its end or for a while."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.config.provider import SANDBOX_URL
from tests import forked
from tests.forked import DIALSTOCK
from tests.waiting import PATIENCE
from workers.cli.sandbox.serve import sandbox_toml

PROJECT = Path(__file__).parents[3]
_OURS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "DIALSTOCK_", "FLOWER_", "LOG_LEVEL", "WORKER_CONCURRENCY")


def environment(home: Path, **extra: str) -> dict[str, str]:
    """The environment without anything of Dialstock's but *extra*; data goes under *home*."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**ours, "DIALSTOCK_HOME": str(home), **extra}


def execute(
    *arguments: str, home: Path, cwd: Path, timeout: float = PATIENCE, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return forked.run([*DIALSTOCK, *arguments], env=environment(home, **extra), cwd=cwd, timeout=timeout)


def choose_sandbox(folder: Path, url: str = SANDBOX_URL) -> None:
    """Have a file in the folder say that the sandbox is meant."""
    (folder / "providers.toml").write_text(sandbox_toml(url))


class Running:
    """A command that runs until it is stopped; what it says on standard error goes to `log`."""

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        environ: Mapping[str, str],
        start: Callable[..., subprocess.Popen[Any]] = forked.start,
    ) -> None:
        self._log = cwd / f"{arguments[0]}.log"
        with self._log.open("wb") as log:
            self.process = start(
                [*DIALSTOCK, *arguments], env=environ, cwd=cwd, stdout=subprocess.PIPE, stderr=log, text=True
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def line(self) -> str:
        """The next line of its standard output."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log
        return line

    def stop(self, number: int = signal.SIGTERM, timeout: float = PATIENCE) -> int:
        """Send a signal, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(timeout)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
