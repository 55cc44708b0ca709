"""Whether a Redis that does not answer would by the other scheme: its port speaks TLS, or does not.

Neither tells a client so: a port that speaks TLS closes the connection, and one that does not waits for more.
"""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from tasks.server_errors.of_redis import NO_TLS, TLS_ALONE

PATIENCE = 2.0
"""Seconds for the connection, and for the answer."""


def other_scheme(url: str) -> tuple[str, str] | None:
    """What is wrong with the scheme of *url*, and the mend; None where it may be right, and for sentinels."""
    parts = urlsplit(url)
    asks = {"redis": (_speaks_tls, TLS_ALONE), "rediss": (_speaks_plainly, NO_TLS)}
    if parts.scheme not in asks or not parts.hostname:
        return None
    ask, meaning = asks[parts.scheme]
    try:
        with socket.create_connection((parts.hostname, parts.port or 6379), PATIENCE) as connection:
            return meaning if ask(connection) else None
    except OSError:
        return None


def _speaks_tls(connection: socket.socket) -> bool:
    # Who it is does not matter here: nothing is sent.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connection):
        return True


def _speaks_plainly(connection: socket.socket) -> bool:
    connection.sendall(b"PING\r\n")
    # It answers, or that it asks for a password first.
    return connection.recv(1) in (b"+", b"-")
