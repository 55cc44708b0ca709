"""What libpq is told for each connection, where DATABASE_URL does not say it: who asks, and when a host is given up.

A host that vanishes sends no word of it: without these, whoever waits for its answer waits for a quarter of an hour.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

from __future__ import annotations

import os
import platform

from sqlalchemy.engine import URL

CONNECTIONS, LEAST_CONNECTIONS = 8, 2
"""What a process has to PostgreSQL, by default and at the least. Threads commit together, through one; others read."""

WORKER = "dialstock-worker"
"""By this program's name PostgreSQL shows the connections of workers."""

_LIMITS: dict[str, int] = {
    # Seconds for each host of the URL: a lost packet of the handshake is sent again after one, and after three.
    "connect_timeout": 4,
    # Milliseconds that what was sent may stay unacknowledged: a query to a host that is gone. Two retransmissions fit,
    # so that a path that loses packets does not end it.
    "tcp_user_timeout": 10_000,
    # The same for who waits for an answer and sends nothing: asked after 5 s, and each 2 s, at most three times.
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


def connect_options(url: URL, program: str) -> dict[str, int | str]:
    """The options that *url* does not name itself; the server shows *program*, the machine and the process."""
    # PostgreSQL keeps 63 bytes of it.
    who = f"{program} {platform.node()[:30]}:{os.getpid()}"
    options: dict[str, int | str] = {**_LIMITS, "fallback_application_name": who}
    return {name: value for name, value in options.items() if name not in url.query}
