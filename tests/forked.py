"""Processes of ours that are forked off one which has imported everything: that takes a process most of its start.

Each has its own environment, working directory and files, runs the same program to its end, and is a child of the
test's process, as a fresh one is. A fresh one is started where that would make a difference: for other programs than
Celery's and ours, with other settings of Python or of the dynamic linker, and where there is no Linux.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import workers.cli
from workers.launch import celery_command
from workers.launch import main as launch

DIALSTOCK = [sys.executable, "-P", "-c", "from workers.cli import main; main()"]
"""What the console script does, without the working directory on the path."""

_LAUNCH = celery_command([])

IMPORTED = (
    *("celery.__main__", "celery.bin.celery", "celery.apps.beat", "celery.apps.worker", "celery.concurrency.thread"),
    *("celery.worker.consumer", "psycopg", "tasks.messages.celery_tasks", "workers.wiring"),
)
"""With them come most others; not `workers.app`, which reads the environment."""

_SAME = ("PYTHONUNBUFFERED", "PYTHONFAULTHANDLER")
"""Settings of Python that a forked process heeds too."""

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_LONGEST = 2**18


def start(command: Sequence[str], *, env: Mapping[str, str], **options: Any) -> subprocess.Popen[Any]:
    """Start a command as `subprocess.Popen` does."""
    ours = _arguments(command) is not None and _settings(env) == _OWN
    kind = _Forked if ours and sys.platform == "linux" else subprocess.Popen
    return kind(command, env=env, **options)


def run(command: Sequence[str], *, timeout: float, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as `subprocess.run` does, with what it prints as text."""
    with start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            said = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


def _arguments(command: Sequence[str]) -> list[str] | None:
    """As `sys.argv` has them; None for another program."""
    if command[0] in ("celery", "dialstock"):
        return [*command]
    if [*command[: len(DIALSTOCK)]] == DIALSTOCK:
        return ["-c", *command[len(DIALSTOCK) :]]
    if [*command[: len(_LAUNCH)]] == _LAUNCH:
        return ["-m", *command[len(_LAUNCH) :]]
    return None


def _settings(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in environ if name.startswith(("PYTHON", "LD_")) and name not in _SAME}


# As they are before a test changes them.
_OWN = _settings(os.environ)


class _Forked(subprocess.Popen[Any]):
    """Like any other, but for its start."""

    def _execute_child(
        self, args: Any, _executable: Any, _preexec: Any, _close: Any, _pass: Any, cwd: Any, env: Any, *rest: Any
    ) -> None:
        pipes = rest[3:9]
        files = [number if given == -1 else given for number, given in enumerate((pipes[0], pipes[3], pipes[5]))]
        request = {"arguments": _arguments(args), "cwd": str(cwd or Path.cwd()), "environ": dict(env)}
        try:
            self.pid = _source().fork(json.dumps(request).encode(), files)
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes)


class _Source:
    """The process that has imported everything."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-P", __file__, str(theirs.fileno())]
            env = {name: value for name, value in os.environ.items() if name not in _settings(os.environ)} | _OWN
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=env)
        self._lock = threading.Lock()
        atexit.register(self._close)

    def fork(self, request: bytes, files: Sequence[int]) -> int:
        """The id of a new child of this process."""
        with self._lock:
            # Who forks it ends at once: so it becomes a child of ours.
            _adopt(1)
            try:
                socket.send_fds(self._socket, [request], files)
                return int(self._socket.recv(_LONGEST))
            finally:
                _adopt(0)

    def _close(self) -> None:
        # Closing alone does not end it while a copy of this process has the socket too.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._process.wait()


@cache
def _source() -> _Source:
    return _Source()


def _adopt(orphans: int) -> None:
    ctypes.CDLL(None).prctl(_SUBREAPER, orphans, 0, 0, 0)


def _serve(asked: socket.socket) -> Callable[[], object] | None:
    """Fork a process at each request; None at their end, and in such a process what it runs."""
    while True:
        request, files, _, _ = socket.recv_fds(asked, _LONGEST, 3)
        if not request:
            return None
        answer, told = os.pipe()
        between = os.fork()
        if not between:
            if child := os.fork():
                os.write(told, str(child).encode())
                os._exit(0)
            for one in (answer, told):
                os.close(one)
            asked.close()
            return _program(files, **json.loads(request))
        os.waitpid(between, 0)
        asked.send(os.read(answer, 20))
        for one in (answer, told, *files):
            os.close(one)


def _program(files: Sequence[int], arguments: list[str], cwd: str, environ: dict[str, str]) -> Callable[[], object]:
    """Be like a fresh process; returns what it runs."""
    for number, one in enumerate(files):
        os.dup2(one, number)
        os.close(one)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    if "PYTHONFAULTHANDLER" in environ:
        faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=stream.line_buffering or "PYTHONUNBUFFERED" in environ)
    sys.argv[:] = arguments
    gc.enable()
    if arguments[0] == "-m":
        return partial(launch, arguments[1:])
    name = "celery.__main__" if arguments[0] == "celery" else "workers.cli"
    return importlib.import_module(name).main  # type: ignore[no-any-return]


def _main(handed: int) -> object:
    gc.disable()
    for name in (*IMPORTED, *(found.name for found in walk_packages(workers.cli.__path__, "workers.cli."))):
        importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()
    # None of it will be garbage.
    gc.freeze()
    with socket.socket(fileno=handed) as asked:
        program = _serve(asked)
    return program() if program else None


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1])))  # type: ignore[arg-type]
