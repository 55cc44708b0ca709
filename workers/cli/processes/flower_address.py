"""Where Flower listens on this machine, and the password that lets people in."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from workers.cli.processes.worker_beat_flower import PASSWORD_VARIABLE, check_password
from workers.views.errors import Failure

HOST = "127.0.0.1"
_USER = "dialstock"


@dataclass(frozen=True, kw_only=True)
class FlowerAddress:
    """Where Flower listens. `password` is a new one, or None where the environment has one already."""

    port: int
    password: str | None

    @property
    def facts(self) -> dict[str, str | None]:
        """For people and programs."""
        return {
            "url": f"http://{HOST}:{self.port}",
            "user": _USER if self.password else None,
            "password": self.password,
        }

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment of Flower: what Flower reads its password from."""
        return {**environ, PASSWORD_VARIABLE: f"{_USER}:{self.password}"} if self.password else {**environ}


def address_at(port: int) -> FlowerAddress:
    """One on *port*, 0 for any that is free. Raises Failure where it cannot be had."""
    check_password(HOST)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as exc:
            mend = "is another `dialstock up` running? Else give --flower-port, or --no-flower"
            raise Failure(f"port {port}, for Flower, cannot be used ({exc.strerror}): {mend}") from exc
        port = probe.getsockname()[1]
    return FlowerAddress(port=port, password=None if PASSWORD_VARIABLE in os.environ else secrets.token_urlsafe(12))
