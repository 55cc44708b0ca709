"""Which server is the master now, as the sentinels say: asked for each new connection, and every second beside that.

A master that was demoted may take writes for seconds, from those who are still connected: until its sentinels tell it,
it believes itself to be the master. So no connection may stay there only because nothing broke. Of sentinels that
disagree, the one with the newest configuration is right (`config-epoch`): the others hear of it within seconds.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from workers.redis_access.sentinel_url import SentinelAddress
from workers.redis_access.tls_connection import TlsConnection
from workers.redis_access.tls_options import refusal

log = logging.getLogger(__name__)

ASK_EVERY = 1.0
"""Seconds between two looks at which server is the master."""

PATIENCE = 1.0
"""Seconds that a sentinel has for a connection, and for an answer."""

FRESH = 0.2
"""Seconds for which an answer holds for further connections: threads that lost theirs together ask once."""

OVERLAP = 5.0
"""Seconds within which every process that reaches a sentinel has left a server that is not the master any more.

That is two seconds in which a sentinel has not heard of it (https://redis.io/docs/latest/operate/oss_and_stack/
management/sentinel, "SENTINEL_HELLO"), a look, and sentinels that do not answer meanwhile.
"""

Place = tuple[str, int]
"""A host and a port."""


class NoMaster(RedisConnectionError):
    """The sentinels name no master that can be used: says why."""


class Master:
    """The master of one name; `place` is where it was last, None until it was asked for."""

    def __init__(self, address: SentinelAddress) -> None:
        self.place: Place | None = None
        self.name = address.name
        self._sentinels = [_client(place, address) for place in address.sentinels]
        self._asking = threading.Lock()
        self._asked = float("-inf")

    def find(self) -> Place:
        """Where it is now. Raises NoMaster."""
        with self._asking:
            if self.place is not None and time.monotonic() - self._asked < FRESH:
                return self.place
            return self._ask()

    def troubles(self) -> dict[str, str]:
        """Why each sentinel is of no use that is not, by its host and port."""
        found: dict[str, Exception | None] = {}
        list(self._answers(found))
        return {where: _trouble(exc) for where, exc in found.items()}

    def has_left(self, place: Place) -> bool:
        """Whether it is known to be elsewhere. Asks nobody."""
        return self.place is not None and self.place != place

    def _ask(self) -> Place:
        troubles: dict[str, Exception | None] = {}
        found = max(self._answers(troubles), key=lambda answer: answer[0], default=None)
        if found is None:
            # What is said of a certificate is told by its error, and the rest by our words.
            refused = next((exc for exc in troubles.values() if refusal(exc)), None)
            raise NoMaster(_why(self.name, troubles)) from refused
        self._asked, before = time.monotonic(), self.place
        self.place = found[1]
        if before not in (None, self.place):
            log.warning("the master %s is at %s:%s now", self.name, *self.place)
        return self.place

    def _answers(self, troubles: dict[str, Exception | None]) -> Iterator[tuple[int, Place]]:
        """What each sentinel says that knows a master which is up, with the age of what it knows."""
        for sentinel in self._sentinels:
            where = "{host}:{port}".format(**sentinel.connection_pool.connection_kwargs)
            try:
                state: Any = sentinel.sentinel_master(self.name)
            except (RedisError, OSError, LookupError, TypeError, ValueError) as exc:
                troubles[where] = exc
                continue
            if state["is_master"] and not (state["is_sdown"] or state["is_odown"]):
                yield state["config-epoch"], (state["ip"], state["port"])
            else:
                troubles[where] = None


def follow(address: SentinelAddress) -> Master:
    """The master of *address*, one for all who ask in this process; it is asked for as long as anybody has it."""
    # A forked child has none of its parent's threads.
    key = os.getpid(), address
    with _lock:
        master = _known.get(key)
        if master is None:
            master = _known[key] = Master(address)
            # Not a method: the thread must not keep alive what it asks for.
            asking = [weakref.ref(master)]
            threading.Thread(target=_keep_asking, args=asking, name="dialstock-master", daemon=True).start()
        return master


_lock = threading.Lock()
_known: weakref.WeakValueDictionary[tuple[int, SentinelAddress], Master] = weakref.WeakValueDictionary()
_UNKNOWN = "the sentinels know no master of that name"
_REFUSED = "a sentinel does not let us in"
_DOWN = "its master is down"


def _keep_asking(known: weakref.ref[Master]) -> None:
    while (master := known()) is not None:
        # Who needs a connection hears of it.
        with suppress(NoMaster):
            master.find()
        del master
        time.sleep(ASK_EVERY)


def _client(place: Place, address: SentinelAddress) -> redis.Redis:
    pool = redis.ConnectionPool(
        connection_class=redis.Connection if address.tls is None else TlsConnection,
        host=place[0],
        port=place[1],
        username=address.sentinel_username,
        password=address.sentinel_password,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
        **(address.tls or {}),
    )
    return redis.Redis.from_pool(pool)


def _why(name: str, troubles: dict[str, Exception | None]) -> str:
    """In one sentence; what the most useful of them says comes first."""
    said = {where: _trouble(exc) for where, exc in troubles.items()}
    first = next((one for kind in (_DOWN, _REFUSED, _UNKNOWN) for one in said.values() if one.startswith(kind)), None)
    silent = "no sentinel answers: " + "; ".join(f"{where}: {why}" for where, why in said.items())
    return f"{name}: {first or silent}"


def _trouble(exc: Exception | None) -> str:
    """What a sentinel answered; None where it has a master that is down."""
    if exc is None:
        return _DOWN
    if isinstance(exc, AuthenticationError) or str(exc).startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
        return f"{_REFUSED}: {exc}"
    return _UNKNOWN if "No such master" in str(exc) else str(exc)
