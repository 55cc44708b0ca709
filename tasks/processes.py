"""The processes that run, and which configuration each has in force: written down by themselves, read by all.

It is for people, and for a message that names what another worker may know; nothing is bought by it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection, delete, exists, insert, select, update

from schemas.outcomes import clip
from schemas.tables.processes import PROCESS

WORKER, BEAT, UP = "worker", "beat", "up"
"""The roles."""

EVERY = 5.0
"""Seconds between two signs of life."""

ALIVE = timedelta(seconds=20)
"""How long after its last sign of life a process is taken to run."""

KEPT = timedelta(days=1)
"""How long after that it is forgotten."""

_MAX_REFUSED = 1_000
_AT = PROCESS.c


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process of ours, as it is told from all others, also from one that has its pid later."""

    role: str
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process that gave a sign of life lately, and its configuration."""

    role: str
    host: str
    pid: int
    digest: str
    since: datetime
    refused: str | None

    def __str__(self) -> str:
        return f"{self.role} {self.pid} on {self.host}"


@dataclass(frozen=True, kw_only=True)
class Silent:
    """A process that gave its last sign of life a while ago: it hangs, or was killed."""

    role: str
    host: str
    pid: int
    seen_at: datetime

    def __str__(self) -> str:
        return f"{self.role} {self.pid} on {self.host}"


def write_down(conn: Connection, me: Process, digest: str, refused: str | None, now: datetime) -> None:
    """Give a sign of life; `since` changes with *digest* only."""
    seen = {"seen_at": now, "refused": clip(refused, _MAX_REFUSED)}
    if conn.execute(update(PROCESS).where(_AT.id == me.id, _AT.digest == digest).values(**seen)).rowcount:
        return
    new = {"digest": digest, "since": now, **seen}
    if not conn.execute(update(PROCESS).where(_AT.id == me.id).values(**new)).rowcount:
        place = {"role": me.role, "host": me.host[:200], "pid": me.pid}
        conn.execute(insert(PROCESS).values(id=me.id, **place, **new))
        conn.execute(delete(PROCESS).where(_AT.seen_at < now - KEPT))


def take_out(conn: Connection, me: Process) -> None:
    """It ends."""
    conn.execute(delete(PROCESS).where(_AT.id == me.id))


def running(conn: Connection, now: datetime) -> Sequence[Running]:
    """The processes that run, by role, host and pid."""
    query = select(PROCESS).where(_AT.seen_at >= now - ALIVE).order_by(_AT.role, _AT.host, _AT.pid)
    names = ("role", "host", "pid", "digest", "since", "refused")
    return [Running(**{name: row[name] for name in names}) for row in conn.execute(query).mappings()]


def silent(conn: Connection, now: datetime) -> Sequence[Silent]:
    """Workers where none runs, and beats, that gave a sign within a day and did not end by themselves."""
    alive = set(conn.execute(select(_AT.role).where(_AT.seen_at >= now - ALIVE)).scalars())
    lately = (_AT.seen_at >= now - KEPT, _AT.role.in_((WORKER, BEAT)))
    found = conn.execute(select(_AT.role, _AT.host, _AT.pid, _AT.seen_at).where(*lately))
    return [Silent(role=role, host=host, pid=pid, seen_at=at) for role, host, pid, at in found if role not in alive]


def others_differ(conn: Connection, digest: str, now: datetime) -> bool:
    """Whether a worker runs that has another configuration in force."""
    alive = (_AT.role == WORKER, _AT.seen_at >= now - ALIVE)
    return bool(conn.execute(select(exists().where(*alive, _AT.digest != digest))).scalar())
