"""Two workers and two beats as processes, and a keeper that starts again what was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests import forked
from tests.waiting import PATIENCE, eventually

ROOT = Path(__file__).parents[2]
_QUIET = ["--without-mingle", "--without-gossip", "-l", "INFO"]


class Fleet:
    """Keeps the processes running between `__enter__` and `__exit__`; `deaths` are (name, exit status)."""

    def __init__(self, folder: Path, environ: Mapping[str, str], *, concurrency: int = 12, beats: int = 2) -> None:
        self._folder = folder
        self._environ = {**os.environ, **environ, "CHAOS_FOLDER": str(folder), "PYTHONFAULTHANDLER": "1"}
        worker = ["worker", "--pool=threads", f"--concurrency={concurrency}", *_QUIET]
        self._commands = {f"worker{n}": [*worker, "-n", f"chaos{n}@%h"] for n in range(2)}
        self._commands |= {
            f"beat{n}": ["beat", "--scheduler=celery.beat:Scheduler", "--pidfile="] for n in range(beats)
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._over = threading.Event()
        self._keeping = threading.Lock()
        self._lock = threading.Lock()
        self._keeper = threading.Thread(target=self._keep, name="keeper")
        self.deaths: list[tuple[str, int]] = []

    @property
    def workers(self) -> list[int]:
        """The pids of the workers that run now."""
        with self._lock:
            return [one.pid for name, one in self._running.items() if name.startswith("worker") and one.poll() is None]

    def ready(self) -> bool:
        """Whether both workers take messages."""
        pids = self.workers
        return len(pids) == 2 and all((self._folder / "ready" / str(pid)).exists() for pid in pids)

    def kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    @contextmanager
    def down(self) -> Iterator[None]:
        """All workers are killed, and none is started meanwhile."""
        with self._keeping:
            for pid in self.workers:
                self.kill(pid)
            eventually(lambda: not self.workers, what="all workers are gone")
            yield

    def freeze(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: _state(pid) == "T", what=f"{pid} stands still")

    def thaw(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def wait_frozen(self, pid: int) -> None:
        eventually(lambda: _state(pid) == "T", what=f"{pid} stands still")

    def log(self) -> str:
        """The last lines of each process's log."""
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-8000:]}" for log in logs)

    def __enter__(self) -> Self:
        for name in self._commands:
            self._start(name)
        self._keeper.start()
        try:
            eventually(self.ready, what=f"both workers are ready\n{self.log()}")
        except BaseException as exc:
            self.__exit__(type(exc), exc, exc.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._keeper.join()
        for one in self._running.values():
            with suppress(ProcessLookupError):
                one.terminate()
                one.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + PATIENCE
        late = [name for name, one in self._running.items() if not _ended(one, deadline)]
        assert not late or kind, f"did not stop on SIGTERM: {late}\n{self.log()}"

    def _start(self, name: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            started = forked.start(
                ["celery", "-A", "tests.chaos.faults.app:app", *self._commands[name]],
                env=self._environ,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        with self._lock:
            self._running[name] = started

    def _keep(self) -> None:
        while not self._over.wait(0.05):
            with self._keeping:
                self._start_again()

    def _start_again(self) -> None:
        for name, one in list(self._running.items()):
            if (status := one.poll()) is not None:
                self.deaths.append((name, status))
                self._start(name)


def _ended(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        # Its log says then where each of its threads stands.
        process.send_signal(signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        return False
    return True


def _state(pid: int) -> str:
    """The kernel's letter for the process: T is stopped; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
