"""Processes of ours that are forked off one which has imported everything: that takes a process most of its start.

Each has its own environment, working directory and files, runs the same program to its end, and is a child of the
test's process, as a fresh one is. So are the children that it starts itself, and what it becomes by `exec`. A fresh one
is started where that would make a difference: for other programs than Celery's and ours, with other settings of Python
or of the dynamic linker, and where there is no Linux, or a Python that starts a process in another way than we know. A
folder of packages before all others makes none, where the test says so by SITE.
Its command line is its source's: who looks at that starts it afresh.

At its end its threads and all that waits for the end have had their turn; it does not take itself apart then, which
took more of the processor than most do before. One with PYTHONWARNINGS does, whose last
warnings come with it: so does what `dialstock up` starts.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import gc
import importlib
import inspect
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, NoReturn

import workers.cli
from tasks.providers.registry import installed
from tasks.providers.transport.http import ssl_context
from workers.launch import celery_command
from workers.launch import main as launch

DIALSTOCK = [sys.executable, "-P", "-c", "from workers.cli import main; main()"]
"""What the console script does, without the working directory on the path."""

_LAUNCH = celery_command([])

IMPORTED = (
    *("celery.__main__", "celery.bin.celery", "celery.apps.beat", "celery.apps.worker", "celery.concurrency.thread"),
    *("celery.app.amqp", "celery.app.events", "celery.app.log", "celery.app.routes", "celery.worker.autoscale"),
    *("celery.worker.components", "celery.worker.consumer", "celery.worker.consumer.delayed_delivery"),
    *("celery.worker.strategy", "kombu.transport.redis", "billiard.pool", "psycopg", "tasks.messages.celery_tasks"),
    *("workers.broker.incoming", "workers.broker.listening", "workers.periodic.heartbeat"),
    *("workers.periodic.scheduler", "workers.processes.stop_signals", "workers.telemetry.traces", "workers.wiring"),
)
"""With them come most others; not `workers.app`, which reads the environment."""

_SAME = ("PYTHONUNBUFFERED", "PYTHONFAULTHANDLER", "PYTHONWARNINGS")
"""Settings of Python that a forked process heeds too."""

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Settings that name other certificates to trust."""

_PARENTS = {"up", "demo"}
"""Commands that start children."""

NAMESPACE = "TEST_NETWORK_NAMESPACE"
"""The network namespace that a process is started in, by its name, in its environment."""

SITE = "TEST_SITE"
"""A folder with packages, in the environment of a process that may be forked though its PYTHONPATH begins with it."""

_CLONE_NEWNET = 0x40000000
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_LONGEST = 2**18


def start(command: Sequence[str], *, env: Mapping[str, str], **options: Any) -> subprocess.Popen[Any]:
    """Start a command as `subprocess.Popen` does."""
    return _Forked(command, env=env, **options)


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
    if [*command[:2]] == [sys.executable, "-m"] and command[2].startswith("tests."):
        return [*command[2:]]
    return None


def _settings(environ: Mapping[str, str]) -> dict[str, str]:
    found = {name: environ[name] for name in environ if name.startswith(("PYTHON", "LD_")) and name not in _SAME}
    first, _, others = found.get("PYTHONPATH", "").partition(os.pathsep)
    if first and first == environ.get(SITE):
        del found["PYTHONPATH"]
        found |= {"PYTHONPATH": others} if others else {}
    return found


# As they are before a test changes them.
_OWN = _settings(os.environ)


def _alike(command: Sequence[str], env: Mapping[str, str]) -> list[str] | None:
    """The arguments of what runs in a forked process as in a fresh one."""
    same = sys.platform == "linux" and _settings(env) == _OWN
    return _arguments(command) if same else None


_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def is_known(kind: type[Any]) -> bool:
    """Whether a process is started as `_Forked` does it otherwise: no Python promises that its own stays so."""
    begins = getattr(kind, "_execute_child", None)
    names = tuple(inspect.signature(begins).parameters) if begins else ()
    where = (names[:2], names[6:8], names[11:17], names[22:23])
    known = (("self", "args"), ("cwd", "env"), _PIPES, ("start_new_session",))
    return where == known and hasattr(kind, "_close_pipe_fds")


_KNOWN = is_known(subprocess.Popen)


class _Forked(subprocess.Popen[Any]):
    """Like any other, but for its start, where that makes no difference."""

    def _execute_child(self, args: Any, *rest: Any) -> None:
        cwd, env = rest[4:6] if _KNOWN else (None, None)
        env = os.environ if env is None else env
        arguments = _alike(args, env) if _KNOWN and not isinstance(args, str) else None
        if arguments is None:
            there = ["ip", "netns", "exec", env[NAMESPACE]] if NAMESPACE in env else []
            super()._execute_child([*there, *args] if there else args, *rest)  # type: ignore[misc]
            return
        pipes, session = rest[9:15], rest[20]
        files = [number if given == -1 else given for number, given in enumerate((pipes[0], pipes[3], pipes[5]))]
        request = {"arguments": arguments, "cwd": str(cwd or Path.cwd()), "environ": dict(env), "session": session}
        try:
            self.pid = _source().fork(json.dumps(request).encode(), files)
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes)


class _Source:
    """A process that has imported everything; *wait* waits for its end."""

    def __init__(self, asked: socket.socket, wait: Callable[[], object]) -> None:
        self._socket, self._wait = asked, wait
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
        self._wait()


@cache
def _source() -> _Source:
    ours, theirs = _pair()
    with theirs:
        command = [sys.executable, "-P", __file__, str(theirs.fileno())]
        env = {name: value for name, value in os.environ.items() if name not in _settings(os.environ)} | _OWN
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=env)
    return _Source(ours, process.wait)


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


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
            middle = os.getpid()
            if child := os.fork():
                os.write(told, str(child).encode())
                os._exit(0)
            # It may ask who its parent is.
            while os.getppid() == middle:
                time.sleep(0.001)
            for one in (answer, told):
                os.close(one)
            asked.close()
            return _program(files, **json.loads(request))
        os.waitpid(between, 0)
        asked.send(os.read(answer, 20))
        for one in (answer, told, *files):
            os.close(one)


def _program(
    files: Sequence[int], arguments: list[str], cwd: str, environ: dict[str, str], *, session: bool
) -> Callable[[], object]:
    """Be like a fresh process; returns what it runs."""
    if session:
        os.setsid()
    for number, one in enumerate(files):
        os.dup2(one, number)
        os.close(one)
    if namespace := environ.get(NAMESPACE):
        _enter(namespace)
    if site := environ.get(SITE):
        sys.path.insert(0, site)
        # What is installed there is found out anew.
        installed.cache_clear()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    if "PYTHONFAULTHANDLER" in environ:
        faulthandler.enable()
    if _trusts_others(environ):
        ssl_context.cache_clear()
    for option in filter(None, environ.get("PYTHONWARNINGS", "").split(",")):
        warnings._setoption(option)  # type: ignore[attr-defined]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=stream.line_buffering or "PYTHONUNBUFFERED" in environ)
    if not _PARENTS.isdisjoint(arguments[1:]) and (program := _parent()):
        return program
    os.execv = _become  # type: ignore[assignment]
    gc.enable()
    program = _run(arguments)
    return program if environ.get("PYTHONWARNINGS") else partial(_to_the_end, program)


def _enter(namespace: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", namespace).open() as there:
        if libc.setns(there.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def _trusts_others(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) for name in _CERTIFICATES)


def _to_the_end(program: Callable[[], object]) -> None:
    """Run it, and end in the order of Python's own end, but for what comes last."""
    status: object = None
    try:
        status = program()
    except SystemExit as exc:
        status = exc.code
    if not isinstance(status, int | None):
        sys.exit(status)  # type: ignore[arg-type]
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        # Python tells of it, and ends with another status.
        sys.exit(status)
    os._exit((status or 0) & 0xFF)


def _run(arguments: list[str]) -> Callable[[], object]:
    sys.argv[:] = arguments
    if arguments[0] == "-m":
        return partial(launch, arguments[1:])
    if arguments[0].startswith("tests."):
        sys.path.insert(0, str(Path.cwd()))
        return partial(_run_module, arguments[0])
    name = "celery.__main__" if arguments[0] == "celery" else "workers.cli"
    return importlib.import_module(name).main  # type: ignore[no-any-return]


def _run_module(name: str) -> None:
    # What it leaves behind is no status to end with.
    runpy.run_module(name, run_name="__main__", alter_sys=True)


_execv = os.execv


def _become(path: str, command: list[str]) -> NoReturn:
    arguments = _alike(command, os.environ)
    if arguments is None:
        _execv(path, command)
    sys.exit(_run(arguments)())  # type: ignore[arg-type]


def _parent() -> Callable[[], object] | None:
    """Have a source for children before there are threads; in the source, what a child runs."""
    ours, theirs = _pair()
    if source := os.fork():
        theirs.close()
        found = _Source(ours, partial(os.waitpid, source, 0))
        globals()["_source"] = lambda: found
        subprocess.Popen = _Forked  # type: ignore[misc]
        return None
    ours.close()
    return _serve(theirs) or partial(os._exit, 0)


def _main(handed: int) -> object:
    gc.disable()
    for name in (*IMPORTED, *(found.name for found in walk_packages(workers.cli.__path__, "workers.cli."))):
        importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()
    # To read the certificates that all processes trust takes a worker a tenth of its start.
    if not _trusts_others(os.environ):
        ssl_context()
    # None of it will be garbage.
    gc.freeze()
    with socket.socket(fileno=handed) as asked:
        program = _serve(asked)
    return program() if program else None


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1])))  # type: ignore[arg-type]
