"""A host that vanishes without a word: its packets go nowhere, and no connection is refused or closed.

It is a network namespace with an address of its own, in which a process hands connections on to a socket of
PostgreSQL or Redis.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Self

from sqlalchemy.engine import make_url

from tests.servers import interfaces
from tests.servers.availability import unavailable
from tests.servers.own_host import HOW, OwnHost, add_namespace, end, ip, relay
from tests.servers.postgres import PostgresServer
from tests.servers.redis import PORTS, RedisServer, free_port

PORT = 5432
_numbers = itertools.count()


class FarHost:
    """A context manager; `url` leads to the server through it, from *near* where that is given, a host of its own.

    It is there until it vanishes.
    """

    def __init__(self, server: PostgresServer | RedisServer, near: OwnHost | None = None) -> None:
        self._near = near
        self._socket = server.folder / ("socket" if isinstance(server, RedisServer) else f".s.PGSQL.{PORT}")
        self._name = f"ds{os.getpid()}x{next(_numbers)}"
        # Of the range for tests (RFC 2544): as no other process has the port, none has the addresses.
        number = free_port() - PORTS.start
        network, host = f"198.18.{number // 64}", number % 64 * 4
        self._here, self.address = f"{network}.{host + 1}", f"{network}.{host + 2}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if not add_namespace(self._name):
            unavailable("a host that vanishes", HOW)
        try:
            self._set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _set_up(self) -> None:
        near, far = f"{self._name}n", f"{self._name}f"
        with self._change():
            self._ip_near(f"link add {near} type veth peer name {far} netns {self._name}")
            # No address that it gives itself, which would come a second later.
            self._ip_near(f"link set {near} addrgenmode none")
            self._ip_near(f"addr add {self._here}/30 dev {near}")
            self._ip_near(f"link set {near} up")
            ip(f"-n {self._name} link set {far} up")
        # Known for good: an address that nobody answers for any more is sent to all the same.
        shown = ip(f"-n {self._name} link show {far}").split()
        self._ip_near(
            f"neigh replace {self.address} lladdr {shown[shown.index('link/ether') + 1]} dev {near} nud permanent"
        )
        self.come_back()
        self._process = relay(self.address, PORT, str(self._socket), self._name)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end(self._process)
        with self._change(), suppress(subprocess.CalledProcessError):
            self._ip_near(f"link del {self._name}n")
        ip(f"netns del {self._name}")

    def url(self, direct: str) -> str:
        """The server of the URL *direct*, through this host."""
        return str(make_url(direct).set(query={}, host=self.address, port=PORT))

    def vanish(self) -> None:
        ip(f"-n {self._name} addr del {self.address}/30 dev {self._name}f")

    def come_back(self) -> None:
        ip(f"-n {self._name} addr add {self.address}/30 dev {self._name}f")

    def _change(self) -> AbstractContextManager[None]:
        """What comes and goes on a host of its own is none of the machine's."""
        return interfaces.change() if self._near is None else nullcontext()

    def _ip_near(self, arguments: str) -> str:
        return ip(arguments if self._near is None else f"-n {self._near.name} {arguments}")
