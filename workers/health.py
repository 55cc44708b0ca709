"""Whether the database and Redis can be used, asked with short time-outs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis
from redis.exceptions import RedisError
from sqlalchemy import Engine, insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from schemas.tables.purchases import PROVIDER
from tasks.redis_keys import named
from tasks.server_errors import database_trouble, is_lost, redis_trouble
from tasks.server_errors.of_redis import CLUSTER
from workers.database.connections import make_engine
from workers.database.versions import Fit, Versions, read_versions
from workers.redaction import cleaning, redacted
from workers.redis_access.client import connect_redis
from workers.redis_access.tls_options import refusal
from workers.redis_access.tls_probe import other_scheme

log = logging.getLogger(__name__)

PATIENCE = 2
"""Seconds that a server has for a connection."""

MIN_REDIS = (6, 2)
"""The floor of kombu 5.7."""


WRITTEN = "dialstock:doctor"
"""The key that is written to see that Redis takes writes."""


_WRITE = "return redis.call('SET', KEYS[1], 'written', 'PX', 1000)"


class Away(RuntimeError):
    """The database or Redis cannot be used: away, refusing us, too old, behind in migrations. Says how to mend it."""


class Unusable(Away):
    """It does not pass by itself: waiting would not help."""


class Untrusted(Unusable):
    """Redis shows a certificate that is not trusted, or not for the host that was asked for."""


def check_database(url: str) -> str:
    """The revision of the database, with which this program may work. Raises Away."""
    found = database_versions(url)
    if found.fit is Fit.EMPTY:
        raise Away(f"the database {redacted(url)} has no tables yet: {found.mend}")
    if found.fit not in (Fit.SAME, Fit.AHEAD):
        raise Away(f"{found.said_of(redacted(url))}: {found.mend}")
    return str(found.present)


def is_usable(url: str) -> bool:
    """Whether there is a database with tables that this program may work with. Raises Away."""
    return database_versions(url).fit in (Fit.SAME, Fit.AHEAD)


def database_versions(url: str) -> Versions:
    """What the database has and this program needs. Raises Away."""
    with _asked(url) as engine:
        return read_versions(engine)


def tell_if_older(url: str) -> None:
    """Write into the log that a newer program has migrated the database. Raises Away."""
    found = database_versions(url)
    if found.fit is Fit.AHEAD:
        log.warning("%s: %s", found.said_of(redacted(url)), found.mend)


def check_database_writes(url: str) -> None:
    """Write a row that nobody sees, and take it back. Raises Away where the database takes no writes from us."""
    row = {"provider": f"doctor-{uuid4()}"[:40], "updated_at": datetime.now(UTC)}
    with _asked(url) as engine, engine.connect() as conn:
        conn.execute(insert(PROVIDER).values(row))
        conn.rollback()


@contextmanager
def _asked(url: str) -> Iterator[Engine]:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        # SQLite makes a missing file; a question must not.
        if not Path(parsed.database or "").is_file():
            parsed = make_url("sqlite:///:memory:")
    elif "connect_timeout" not in parsed.query:
        parsed = parsed.update_query_dict({"connect_timeout": str(PATIENCE)})
    try:
        engine = make_engine(parsed.render_as_string(hide_password=False))
        try:
            yield engine
        finally:
            engine.dispose()
    except (SQLAlchemyError, OSError) as exc:
        raise Away(f"the database {redacted(url)} {database_trouble(exc).without(cleaning(url))}") from exc


def redis_info(url: str) -> dict[str, Any]:
    """The answer to INFO of a server that is new enough, and stands for itself. Raises Away."""
    with asked_redis(url) as client:
        info: dict[str, Any] = client.info()
    if info.get("cluster_enabled"):
        what, mend = CLUSTER
        raise Unusable(f"Redis at {redacted(url)} {what}: {mend}")
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < MIN_REDIS:
        raise Away(f"Redis at {redacted(url)} is version {version}: 6.2 or newer is needed")
    return info


def check_redis_writes(url: str, key_prefix: str = "") -> None:
    """Write a key that goes by itself, by a script, as paces are. Raises Away where Redis takes no writes from us."""
    with asked_redis(url, key_prefix) as client:
        client.register_script(_WRITE)(keys=[named(client, WRITTEN)])


@contextmanager
def asked_redis(url: str, key_prefix: str = "") -> Iterator[redis.Redis]:
    """A client with short time-outs. What Redis refuses within the block is raised as Away."""
    try:
        with connect_redis(url, key_prefix, timeout=PATIENCE) as client:
            yield client
    except (RedisError, OSError) as exc:
        if why := refusal(exc):
            raise Untrusted(f"the certificate of Redis at {redacted(url)} is refused: {why}") from exc
        if is_lost(exc) and (wrong := other_scheme(url)):
            raise Unusable(f"Redis at {redacted(url)} {wrong[0]}: {wrong[1]}") from exc
        raise Away(f"Redis at {redacted(url)} {redis_trouble(exc).without(cleaning(url))}") from exc


def check_usable(url: str) -> None:
    """Raise Unusable where waiting would not help; a server that is away may come back."""
    try:
        redis_info(url)
    except Unusable:
        raise
    except Away:
        return
