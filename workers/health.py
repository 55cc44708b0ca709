"""Whether the database and Redis can be used, asked with short time-outs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis
from redis.exceptions import RedisError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from workers.broker.tls_options import refusal
from workers.database.connections import make_engine, revisions
from workers.redaction import cleaned, redacted

PATIENCE = 2
"""Seconds that a server has for a connection."""

MIN_REDIS = (6, 2)
"""The floor of kombu 5.7."""

_SCHEMES = "rediss:// for a port that speaks TLS, redis:// for one that does not"


class Away(RuntimeError):
    """The database or Redis cannot be used: it is away, too old, or behind in migrations. Says how to mend it."""


class Untrusted(Away):
    """Redis shows a certificate that is not trusted, or not for the host that was asked for."""


def check_database(url: str) -> str:
    """The revision of the database, which is the one this version needs. Raises Away."""
    present, wanted = database_revisions(url)
    if present is None:
        raise Away(f"the database {redacted(url)} has no tables yet: run dialstock migrate")
    if present != wanted:
        raise Away(f"the database {redacted(url)} is at revision {present}, not {wanted}: run dialstock migrate")
    return present


def has_tables(url: str) -> bool:
    """Whether there is a database with tables of ours. Raises Away."""
    return database_revisions(url)[0] is not None


def database_revisions(url: str) -> tuple[str | None, str | None]:
    """The revision that the database has (None for an empty one) and the one that this version needs. Raises Away."""
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
            return revisions(engine)
        finally:
            engine.dispose()
    except (SQLAlchemyError, OSError) as exc:
        raise Away(
            f"the database {redacted(url)} is away: {cleaned(first_line(exc), url)}: check DATABASE_URL"
        ) from exc


def redis_info(url: str) -> dict[str, Any]:
    """The answer to INFO of a server that is new enough. Raises Away."""
    try:
        with redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) as client:
            info: dict[str, Any] = client.info()
    except (RedisError, OSError) as exc:
        if why := refusal(exc):
            raise Untrusted(f"the certificate of Redis at {redacted(url)} is refused: {why}") from exc
        raise Away(
            f"Redis at {redacted(url)} is away: {cleaned(first_line(exc), url)}: check REDIS_URL ({_SCHEMES})"
        ) from exc
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < MIN_REDIS:
        raise Away(f"Redis at {redacted(url)} is version {version}: 6.2 or newer is needed")
    return info


def check_trust(url: str) -> None:
    """Raise Untrusted where waiting would not help; a server that is away may come back."""
    try:
        if url.startswith("rediss:"):
            redis_info(url)
    except Untrusted:
        raise
    except Away:
        return


def first_line(exc: BaseException) -> str:
    """What went wrong in a line, without the text that SQLAlchemy puts around a driver's error."""
    text = str(getattr(exc, "orig", None) or exc).strip()
    return (text.splitlines() or [type(exc).__name__])[0][:300].rstrip(".")
