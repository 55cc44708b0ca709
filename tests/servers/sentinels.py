"""A master, a replica, and three sentinels that watch them: a failover takes about two seconds."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from tests.servers.redis import RedisServer, free_port
from tests.waiting import eventually

NAME = "ours"
DOWN_AFTER = 1000
"""Milliseconds of silence after which a sentinel takes a server for dead."""


class Sentinels:
    """`url` names them; `master` and `replica` are the servers as they were at first. A context manager."""

    def __init__(self, program: str, *, options: Sequence[str] = ()) -> None:
        self._stack = ExitStack()
        self._program = program
        self._options = options
        self._ports: list[int] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.master, self.replica = (self._server() for _ in range(2))
        host, port = self.place_of(self.master)
        with Redis.from_url(self.replica.url) as client:
            client.execute_command("REPLICAOF", host, port)
        for _ in range(3):
            self._ports.append(self.start_sentinel())
        eventually(self._are_ready, what="the sentinels know each other and the replica")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """As a user writes it."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"sentinel://{hosts}/{NAME}/0"

    @property
    def places(self) -> list[tuple[str, int]]:
        return [("127.0.0.1", port) for port in self._ports]

    @staticmethod
    def place_of(server: RedisServer) -> tuple[str, int]:
        return "127.0.0.1", int(server.url.rpartition(":")[2].partition("/")[0])

    def fail_over(self) -> None:
        """Have the replica promoted while the master lives: for seconds both believe to be the master."""
        with self._sentinel(self._ports[0]) as client:
            client.execute_command("SENTINEL", "FAILOVER", NAME)

    def wait_until_switched(self) -> None:
        """Until all of them name the replica."""
        place = self.place_of(self.replica)
        eventually(lambda: {self._named(port) for port in self._ports} == {place}, what="+switch-master")

    def guard(self, password: str) -> None:
        """Have the servers ask for a password; the sentinels know it."""
        for server in (self.master, self.replica):
            with Redis.from_url(server.url) as client:
                client.config_set("masterauth", password)
                client.config_set("requirepass", password)
        for port in self._ports:
            with self._sentinel(port) as client:
                client.execute_command("SENTINEL", "SET", NAME, "auth-pass", password)

    def kill_sentinel(self) -> None:
        """The first that `url` names."""
        self._processes[0].kill()
        self._processes[0].wait()

    def start_sentinel(self, *lines: str) -> int:
        """One more, with these lines in its configuration; returns its port."""
        port = free_port()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="dialstock-sentinel-")))
        _, master = self.place_of(self.master)
        lines = (
            *(f"port {port}", "bind 127.0.0.1", f"dir {folder}", "set-proc-title no"),
            f"sentinel monitor {NAME} 127.0.0.1 {master} 2",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER}",
            f"sentinel failover-timeout {NAME} 6000",
            *lines,
        )
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
        with (folder / "log").open("ab") as log:
            command = [self._program, str(folder / "sentinel.conf"), "--sentinel"]
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self._processes.append(process)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return port

    def _server(self) -> RedisServer:
        server = RedisServer(self._program, options=self._options)
        self._stack.callback(server.close)
        return server

    def _are_ready(self) -> bool:
        try:
            return all(self._is_ready(port) for port in self._ports)
        except (RedisError, OSError):
            return False

    def _is_ready(self, port: int) -> bool:
        with self._sentinel(port) as client:
            state = client.sentinel_master(NAME)
            replicas = client.sentinel_slaves(NAME)
        known = state["num-other-sentinels"] == 2 and len(replicas) == 1
        return known and replicas[0]["flags"] == "slave" and replicas[0]["master-link-status"] == "ok"

    def _named(self, port: int) -> tuple[str, int] | None:
        try:
            with self._sentinel(port) as client:
                state = client.sentinel_master(NAME)
                return state["ip"], state["port"]
        except (RedisError, OSError):
            return None

    @staticmethod
    def _sentinel(port: int) -> Redis:
        return Redis(host="127.0.0.1", port=port, socket_timeout=20)
