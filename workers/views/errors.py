"""What can go wrong for a person at the command line, as one message and an exit status.

0 done   1 some failed or held   2 wrong use   3 database or Redis away or behind   130 interrupted
"""

# ruff: noqa: PLC0415 - what a failed command did not import, it cannot have raised
from __future__ import annotations

SOME_FAILED = 1
WRONG_USE = 2
AWAY = 3
INTERRUPTED = 130


class Failure(Exception):
    """A command that cannot be done: what, where, how to mend; and the exit status."""

    def __init__(self, message: str, status: int = WRONG_USE) -> None:
        super().__init__(message)
        self.status = status


class NotThere(Failure):
    """A name or an id that nothing has."""


def failure_of(exc: Exception) -> Failure | None:
    """What an exception means at the command line, without secrets of a URL; None where it is a bug of ours."""
    from workers.redaction import ours

    if isinstance(exc, Failure):
        return exc
    failure = _wrong_use(exc) or _away(exc)
    return failure and Failure(ours(str(failure)), failure.status)


def _wrong_use(exc: Exception) -> Failure | None:
    from schemas.config.errors import ConfigError
    from schemas.requests import RequestError
    from tasks.orderfile import OrderFileError
    from tasks.orders import OrderError
    from workers.server_urls import SettingsError

    if isinstance(exc, ConfigError | SettingsError | RequestError | OrderFileError | OrderError):
        return Failure(str(exc))
    return None


def _away(exc: Exception) -> Failure | None:
    from alembic.util import CommandError
    from kombu.exceptions import OperationalError as BrokerAway
    from redis.exceptions import RedisError
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    from tasks.server_errors import database_trouble, first_line, redis_trouble
    from tasks.transactions import Unanswered
    from workers.database.versions import Unfit
    from workers.health import Away
    from workers.processes.embedded_redis import EmbeddedError
    from workers.redaction import cleaned_of_settings

    if isinstance(exc, EmbeddedError | Away | Unfit):
        return Failure(str(exc), AWAY)
    if isinstance(exc, RedisError | BrokerAway):
        return Failure(f"Redis {redis_trouble(exc).without(cleaned_of_settings)}", AWAY)
    if isinstance(exc, CommandError):
        return Failure(f"the database cannot be migrated: {cleaned_of_settings(first_line(exc))}", AWAY)
    if isinstance(exc, Unanswered):
        look = "look there (`dialstock order show`, `purchase list`, `pool show`) before you run this again"
        return Failure(f"{exc}: whether it was written is not known. When the database is back, {look}", AWAY)
    if isinstance(exc, DBAPIError | PoolTimeout):
        return Failure(f"the database {database_trouble(exc).without(cleaned_of_settings)}", AWAY)
    if isinstance(exc, OSError):
        where = f"{exc.filename}: " if exc.filename else ""
        return Failure(cleaned_of_settings(f"{where}{exc.strerror or exc}"))
    return None
