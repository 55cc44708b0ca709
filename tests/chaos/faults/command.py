"""The real command line, as people run it: each command in a process of its own, which may be killed between commits.

The processes are forked off one that has imported everything, for that takes a command most of its time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection

from tests import forked
from tests.chaos.faults.clock import go_by
from tests.chaos.fleet import ROOT
from workers.cli import main
from workers.cli.provider import lost_history as providerhistory  # noqa: F401
from workers.cli.terminal import context
from workers.database.connections import SqlDatabase

PATIENCE = 90.0
"""Seconds that a command may take."""


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed; `status` is negative for the signal that killed it."""

    status: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"status {self.status}\n{self.stdout}{self.stderr}"


class Commands:
    """Runs `dialstock`, one command at a time."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._process = forked.start(
            [sys.executable, "-m", "tests.chaos.faults.command", str(folder)],
            env={**os.environ, **environ},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, dies_after: int = 0) -> Done:
        """Run a command that dies right after its so many-th commit, where it is not 0."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([arguments, dies_after]), file=self._process.stdin, flush=True)
        late = threading.Timer(PATIENCE, self._process.kill)
        late.start()
        status = self._process.stdout.readline()
        late.cancel()
        assert status, f"dialstock {' '.join(arguments)} takes longer than {PATIENCE:g} s"
        return Done(int(status), *((self._folder / name).read_text() for name in ("stdout", "stderr")))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            self._process.kill()


class DeadlyDatabase(SqlDatabase):
    """Between two commits nothing lasts, so it kills right after one; with 0 to go it lets live."""

    left = 0

    @contextmanager
    def write(self, *, marked: bool = False) -> Iterator[Connection]:
        with super().write(marked=marked) as conn:
            yield conn
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _serve(folder: Path) -> None:
    for line in sys.stdin:
        arguments, dies_after = json.loads(line)
        child = os.fork()
        if not child:
            _run(folder, arguments, dies_after)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(folder: Path, arguments: list[str], dies_after: int) -> Any:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    DeadlyDatabase.left = dies_after
    sys.argv = ["dialstock", *arguments]
    main()


if __name__ == "__main__":
    go_by(Path(sys.argv[1]))
    context.SqlDatabase = DeadlyDatabase  # type: ignore[misc]
    _serve(Path(sys.argv[1]))
