"""Connections to whichever server is the master: they go there anew where it is another one."""

from __future__ import annotations

from typing import Any

from redis import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from workers.redis_access.master import Master, follow
from workers.redis_access.sentinel_url import SentinelAddress
from workers.redis_access.tls_connection import TlsConnection


class _ToMaster(Connection):
    """A connection that asks the sentinels where to, and leaves a server that is the master no more.

    Where it `follows`, it does so with its next command; of others somebody else sees whether they have `strayed`.
    """

    follows = True

    def __init__(self, *, master: Master, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._master = master

    @property
    def strayed(self) -> bool:
        """Whether it is connected to a server that is the master no more."""
        return self.is_connected and self._master.has_left((self.host, self.port))

    def _connect(self) -> Any:
        self.host, self.port = self._master.find()
        return super()._connect()  # type: ignore[no-untyped-call]

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - as redis-py calls it
        """Send it, to the master."""
        if self.follows and self.strayed:
            self.disconnect()  # type: ignore[no-untyped-call]
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """A master that takes no writes is none any more."""
        try:
            return super().read_response(*args, **kwargs)
        except ReadOnlyError as exc:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise RedisConnectionError(f"{self.host}:{self.port} was the master, and is a replica now") from exc


class MasterConnection(_ToMaster):
    """Without TLS."""


class MasterTlsConnection(_ToMaster, TlsConnection):
    """With TLS."""


def connection_options(address: SentinelAddress) -> dict[str, Any]:
    """What a pool of connections to the master of *address* is made from."""
    return {
        "connection_class": MasterConnection if address.tls is None else MasterTlsConnection,
        "master": follow(address),
        "db": address.db,
        "username": address.username,
        "password": address.password,
        **(address.tls or {}),
    }
