"""A host of its own for processes under test: a network namespace, with nothing of this machine's network in it.

What is started with its `environ` runs there. It reaches what is lent to it, and what ways lead to (`far_host`).
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.forked import NAMESPACE
from tests.servers.availability import unavailable

HOW = "it takes root and iproute2: `apt-get install iproute2`, and run the tests as root with CAP_NET_ADMIN"
_RELAY = Path(__file__).with_name("relay.py")
_numbers = itertools.count()


class OwnHost:
    """A context manager; *lent* are ports of this machine's 127.0.0.1 that are there on its own, too."""

    def __init__(self, *lent: int) -> None:
        self._lent = lent
        self.name = f"ds{os.getpid()}o{next(_numbers)}"
        self._stack = ExitStack()

    @staticmethod
    def is_possible() -> bool:
        """Whether there may be one here."""
        name = f"ds{os.getpid()}o{next(_numbers)}"
        if found := add_namespace(name):
            ip(f"netns del {name}")
        return found

    def has(self, pid: int) -> bool:
        """Whether a process runs there."""
        return Path(f"/proc/{pid}/ns/net").stat().st_ino == Path("/run/netns", self.name).stat().st_ino

    @property
    def environ(self) -> Mapping[str, str]:
        """What a process that `tests.forked` starts there has in its environment."""
        return {NAMESPACE: self.name}

    def __enter__(self) -> Self:
        if not add_namespace(self.name):
            unavailable("a host of its own for a process", HOW)
        with ExitStack() as stack:
            stack.callback(ip, f"netns del {self.name}")
            ip(f"-n {self.name} link set lo up")
            for port in self._lent:
                stack.callback(end, relay("127.0.0.1", port, str(port), self.name))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def add_namespace(name: str) -> bool:
    """Whether there may be one, and is now."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        return False
    return subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0


def relay(address: str, port: int, target: str, namespace: str) -> subprocess.Popen[str]:
    """What listens in a namespace and hands on to a socket, or to a port of this machine; `end` it."""
    command = [sys.executable, str(_RELAY), address, str(port), target, namespace]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if not process.stdout.readline():
        raise RuntimeError(f"nothing listens on {address}:{port} of {namespace}: status {process.wait()}")
    return process


def end(process: subprocess.Popen[str]) -> None:
    """Kill it, and wait until it is gone."""
    process.kill()
    process.communicate()


def ip(arguments: str) -> str:
    """What `ip` prints. Raises CalledProcessError."""
    done = subprocess.run(["ip", *arguments.split()], check=True, capture_output=True, text=True)
    return done.stdout
