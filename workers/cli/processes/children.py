"""The child processes of `up` and `demo`, and the embedded servers that they share with their parent."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from schemas.config.file import Config
from tasks.policies.pace import HORIZON
from workers.cli.processes.worker_beat_flower import beat_arguments, flower_arguments, worker_arguments
from workers.database.connections import migrate
from workers.launch import celery_command
from workers.processes.children import Program
from workers.processes.embedded_redis import connect_embedded
from workers.processes.redis_supervisor import Files, try_lock
from workers.settings import Settings

WORKERS, OTHERS = 0, 1
"""Stages: the workers start first and stop first."""

_POLL = 0.05
_AFTER_CALLS = 10.0
_ROOT_WARNING = "ignore:You're running the worker with superuser privileges"


def start_servers(settings: Settings, environ: Mapping[str, str], stack: ExitStack) -> Settings:
    """The settings with the embedded servers running and in order; *stack* gives them up. Raises EmbeddedError."""
    if settings.embedded_redis:
        server = connect_embedded(settings.home, environ)
        stack.callback(server.close)
        settings = settings.with_redis(server.url)
    if settings.embedded_database:
        migrate(settings.database_url)
    return settings


def wait_until_gone(home: Path, seconds: float) -> bool:
    """Wait until no embedded server runs under *home*; False where one still does after *seconds*."""
    deadline = time.monotonic() + seconds
    if not Files(home).folder.is_dir():
        return True
    while (held := try_lock(Files(home).supervisor)) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    os.close(held)
    return True


def worker_programs(
    config: Config, environ: Mapping[str, str], *, count: int, concurrency: int, log_level: str
) -> dict[str, Program]:
    """*count* worker processes, by the node names under which they answer. They stop first, and with grace."""
    programs: dict[str, Program] = {}
    for number in range(1, count + 1):
        node = f"worker-{number}-{secrets.token_hex(3)}@{socket.gethostname()}"
        arguments = worker_arguments(node, concurrency, log_level)
        programs[node] = Program(
            name=f"worker-{number}",
            command=_quiet(arguments),
            environ=_calm(environ),
            grace=grace_of(config),
            stage=WORKERS,
        )
    return programs


def beat_program(environ: Mapping[str, str], log_level: str) -> Program:
    """Beat; it stops after the workers."""
    return Program(name="beat", command=_quiet(beat_arguments(log_level)), environ=_calm(environ), stage=OTHERS)


def flower_program(address: str, port: int, environ: Mapping[str, str], log_level: str) -> Program:
    """Flower, whose password is in *environ*; it stops after the workers."""
    return Program(
        name="flower", command=_quiet(flower_arguments(address, port, log_level)), environ=_calm(environ), stage=OTHERS
    )


def grace_of(config: Config) -> float:
    """Seconds that a worker may take to stop: its slot, the slowest provider's call, and one look after it."""
    calls = max(provider.policy.send_within + 2 * provider.policy.timeout for provider in config.providers.values())
    return HORIZON + calls + _AFTER_CALLS


def _quiet(arguments: list[str]) -> list[str]:
    return celery_command(["--quiet", *arguments], with_parent=True)


def _calm(environ: Mapping[str, str]) -> dict[str, str]:
    """Without Celery's seven lines about root in each child: the parent says it once."""
    filters = [environ[name] for name in ("PYTHONWARNINGS",) if environ.get(name)]
    return {**environ, "PYTHONWARNINGS": ",".join([*filters, _ROOT_WARNING])}
