"""The broker behind Redis Sentinel: kombu's transport, on connections that go wherever the master is.

kombu's own for Sentinel asks one of them only, stays at a master that was demoted as long as that lets it, and has its
passwords in what a worker tells of itself. Here the URL that Celery knows has none: the address stands beside.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from redis.exceptions import ConnectionError as RedisAway

from workers.broker.incoming import KeepingChannel, KeepingTransport
from workers.redaction import redacted
from workers.redis_access import sentinel_url
from workers.redis_access.connections import connection_options
from workers.redis_access.master import ASK_EVERY
from workers.redis_access.sentinel_url import PORT, SCHEMES, SentinelAddress

_addresses: dict[str, SentinelAddress] = {}


def public_url(url: str) -> str:
    """What Celery may know of *url*; this process finds the rest by it."""
    address = sentinel_url.parse(url)
    _addresses[address.public_url] = address
    return address.public_url


def address_of(url: str) -> SentinelAddress:
    """What is behind a URL of ours, or one that says everything itself. Raises ValueError."""
    return _addresses.get(url) or sentinel_url.parse(url)


class MasterChannel(KeepingChannel):
    """A channel to whichever server is the master."""

    def leave(self) -> bool:
        """Give up connections that only listen, and to a server that is the master no more; True if there were any."""
        clients = (self.__dict__.get(name) for name in ("client", "subclient"))
        connections: list[Any] = [getattr(client, "connection", None) for client in clients]
        strayed = [connection for connection in connections if getattr(connection, "strayed", False)]
        for connection in strayed:
            # Else kombu waits for an answer before it closes them.
            connection.disconnect()
        return bool(strayed)

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - as kombu calls it
        options = connection_options(address_of(self.open_client.hostname))
        options |= {name: getattr(self, name) for name in _OURS}
        if asynchronous:
            options["connection_class"] = _polled(options["connection_class"], self)
        return options


_OURS = (
    *("max_connections", "socket_timeout", "socket_connect_timeout", "socket_keepalive"),
    *("health_check_interval", "client_name"),
)


def _polled(base: Any, channel: Any) -> Any:
    """A connection of kombu's event loop, which has to hear of its end; it is left between two commands."""

    class Polled(base):  # type: ignore[misc]
        follows = False

        def disconnect(self, *args: Any, **kwargs: Any) -> None:
            super().disconnect(*args, **kwargs)
            if channel._registered:
                channel._on_connection_disconnect(self)

    return Polled


class MasterTransport(KeepingTransport):
    """kombu's Redis transport, to whichever server is the master."""

    Channel = MasterChannel
    can_parse_url = True
    default_port = PORT
    supports_batch_publish = True

    @classmethod
    def as_uri(cls, uri: str, include_password: bool = False, mask: str = "**") -> str:  # noqa: ARG003, FBT001, FBT002 - as kombu calls it
        """For people."""
        return uri if include_password else redacted(uri)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Read what comes, and look every second whether it still is the master's."""
        super().register_with_event_loop(connection, loop)
        self._looking = loop.call_repeatedly(ASK_EVERY, self._stay_with_master)

    def close_connection(self, connection: Any) -> None:
        """Look no more."""
        looking = self.__dict__.pop("_looking", None)
        if looking is not None:
            looking.cancel()
        super().close_connection(connection)

    def _stay_with_master(self) -> None:
        """Celery connects anew after an error of the connection, and declares its queues there."""
        cycle: Any = self.cycle
        left = [channel.leave() for channel in list(cycle._channels)]
        if any(left):
            raise RedisAway("the master is another server now")


def use_master_transport() -> None:
    """Have sentinel:// and sentinels:// mean this transport; called before the first connection."""
    for scheme in SCHEMES:
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{MasterTransport.__name__}"
