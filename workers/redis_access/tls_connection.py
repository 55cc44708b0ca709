"""A TLS connection to Redis whose certificates are read once for all connections."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any

from redis.connection import SSLConnection


class TlsConnection(SSLConnection):
    """redis-py's, which reads all CAs of this machine at each connection: 20 ms of CPU, a hundred times at a start."""

    def _wrap_socket_with_ssl(self, sock: Any) -> ssl.SSLSocket:
        files = (self.ca_certs, self.certfile, self.keyfile)
        context = _context(files, tuple(map(_written, files)), self.cert_reqs, check_hostname=self.check_hostname)
        return context.wrap_socket(sock, server_hostname=self.host)


@lru_cache(maxsize=4)
def _context(
    files: tuple[str | None, ...], _written: tuple[int, ...], cert_reqs: ssl.VerifyMode, *, check_hostname: bool
) -> ssl.SSLContext:
    """What redis-py makes of these options."""
    ca, certificate, key = files
    context = ssl.create_default_context()
    context.check_hostname = check_hostname
    context.verify_mode = cert_reqs
    if ca:
        context.load_verify_locations(ca)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def _written(path: str | None) -> int:
    """When the file was written: new certificates are taken without a restart."""
    return Path(path).stat().st_mtime_ns if path else 0
