"""A host that vanishes without a word: its packets go nowhere, and no connection is refused or closed.

It is a network namespace with an address of its own, in which a process hands connections on to a socket of
PostgreSQL or Redis.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from sqlalchemy.engine import make_url

from tests.servers import interfaces
from tests.servers.availability import unavailable
from tests.servers.postgres import PostgresServer
from tests.servers.redis import PORTS, RedisServer, free_port
from tests.waiting import eventually

PORT = 5432
_RELAY = Path(__file__).with_name("relay.py")
_numbers = itertools.count()
_HOW = "it takes root and iproute2: `apt-get install iproute2`, and run the tests as root with CAP_NET_ADMIN"


class FarHost:
    """A context manager; `url` leads to the server through it. It is there until it vanishes."""

    def __init__(self, server: PostgresServer | RedisServer) -> None:
        self._socket = server.folder / ("socket" if isinstance(server, RedisServer) else f".s.PGSQL.{PORT}")
        self._name = f"ds{os.getpid()}x{next(_numbers)}"
        # Of the range for tests (RFC 2544): as no other process has the port, none has the addresses.
        number = free_port() - PORTS.start
        network, host = f"198.18.{number // 64}", number % 64 * 4
        self._here, self.address = f"{network}.{host + 1}", f"{network}.{host + 2}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if shutil.which("ip") is None or os.geteuid() != 0:
            unavailable("a host that vanishes", _HOW)
        try:
            self._ip(f"netns add {self._name}")
        except subprocess.CalledProcessError:
            unavailable("a host that vanishes", _HOW)
        try:
            self._set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _set_up(self) -> None:
        near, far = f"{self._name}n", f"{self._name}f"
        with interfaces.change():
            self._ip(f"link add {near} type veth peer name {far} netns {self._name}")
            # No address that it gives itself, which would come a second later.
            self._ip(f"link set {near} addrgenmode none")
            self._ip(f"addr add {self._here}/30 dev {near}")
            self._ip(f"link set {near} up")
            self._ip(f"-n {self._name} link set {far} up")
        # Known for good: an address that nobody answers for any more is sent to all the same.
        shown = self._ip(f"-n {self._name} link show {far}").split()
        self._ip(f"neigh replace {self.address} lladdr {shown[shown.index('link/ether') + 1]} dev {near} nud permanent")
        self.come_back()
        command = [sys.executable, str(_RELAY), self.address, str(PORT), str(self._socket)]
        self._process = subprocess.Popen(["ip", "netns", "exec", self._name, *command])
        eventually(self._answers, what="the far host takes connections")

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        with interfaces.change(), suppress(subprocess.CalledProcessError):
            self._ip(f"link del {self._name}n")
        self._ip(f"netns del {self._name}")

    def url(self, direct: str) -> str:
        """The server of the URL *direct*, through this host."""
        return str(make_url(direct).set(query={}, host=self.address, port=PORT))

    def vanish(self) -> None:
        self._ip(f"-n {self._name} addr del {self.address}/30 dev {self._name}f")

    def come_back(self) -> None:
        self._ip(f"-n {self._name} addr add {self.address}/30 dev {self._name}f")

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self.address, PORT), 1):
            return True
        return False

    @staticmethod
    def _ip(arguments: str) -> str:
        done = subprocess.run(["ip", *arguments.split()], check=True, capture_output=True, text=True)
        return done.stdout
