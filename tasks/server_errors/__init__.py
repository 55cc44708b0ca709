"""What an error of the database or of Redis means, and what mends it: for commands, a worker's start and its log alike.

It is told by codes: SQLSTATE, SQLite's result code, the word that a Redis error begins with. PostgreSQL refuses a
connection without a code for libpq's callers, so that this alone is told by its English words; in another language the
words are shown, with the general mend.

https://www.postgresql.org/docs/current/errcodes-appendix.html, https://www.sqlite.org/rescode.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeout
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tasks.server_errors import of_database, of_redis
from tasks.server_errors.of_database import Meaning

MAX_WORDS = 300


@dataclass(frozen=True)
class Trouble:
    """What a server's error means, said of the server: *what* it does, the *mend*, and its own *words*."""

    what: str
    mend: str
    words: str

    def without(self, clean: Callable[[str], str]) -> Trouble:
        """The same with the server's words *clean*: ours hold no secret, and should not lose what looks like one."""
        return replace(self, words=clean(self.words))

    def __str__(self) -> str:
        return f"{self.what} ({self.words}): {self.mend}"


_LOST = (RedisConnectionError, RedisTimeout, OSError)
_TIMED_OUT = re.compile(r"time(d )?out", re.IGNORECASE)
_CODE = re.compile(r"[A-Z]{3,}(?= )")
_PIPELINE = re.compile(r"Command # [0-9]+ \(.*?\) of pipeline caused error: ", re.DOTALL)


def database_trouble(exc: BaseException) -> Trouble:
    """What an error of the database means."""
    words = first_line(exc)
    return Trouble(*_meaning_of_database(exc, words), words)


def redis_trouble(exc: BaseException) -> Trouble:
    """What an error of Redis means, or of the broker."""
    words = first_line(exc)
    code = next((code for one in _chain(exc) if (code := _redis_code(one))), None)
    lost = code is None and any(isinstance(one, _LOST) for one in _chain(exc))
    gone = of_redis.SILENT if _TIMED_OUT.search(words) else of_redis.AWAY
    other = gone if lost else of_database.OTHER
    meaning = of_redis.REDIS.get(code or "") or _by_words(of_redis.REDIS_WORDS, words) or other
    return Trouble(*meaning, words if code is None or code in words else f"{code} {words}")


def is_lost(exc: BaseException) -> bool:
    """Whether Redis, or the broker, answers nothing at all."""
    return redis_trouble(exc).what in (of_redis.AWAY[0], of_redis.SILENT[0])


def trouble_of(exc: BaseException) -> Trouble:
    """What an error of the one server or the other means."""
    return database_trouble(exc) if isinstance(exc, SQLAlchemyError) else redis_trouble(exc)


def explained(exc: BaseException) -> str:
    """For a log line: what an error of the one server or the other means, in its words, and the mend."""
    return str(trouble_of(exc))


def first_line(exc: BaseException) -> str:
    """What went wrong in a line, without what SQLAlchemy and redis-py put around a server's words."""
    text = _PIPELINE.sub("", str(getattr(exc, "orig", None) or exc).strip())
    return (text.splitlines() or [type(exc).__name__])[0][:MAX_WORDS].rstrip(".")


def _meaning_of_database(exc: BaseException, words: str) -> Meaning:
    if isinstance(exc, PoolTimeout):
        return of_database.NO_CONNECTION
    cause = getattr(exc, "orig", None) or exc
    if (number := getattr(cause, "sqlite_errorcode", None)) is not None:
        return of_database.SQLITE.get(number & 0xFF, of_database.OTHER)
    if (state := getattr(cause, "sqlstate", None)) is not None:
        return of_database.POSTGRES.get(state) or _by_words(of_database.POSTGRES_WORDS, words) or of_database.OTHER
    return _by_words(of_database.POSTGRES_WORDS, words) or of_database.LOST


def _by_words(known: Sequence[tuple[str, Meaning]], words: str) -> Meaning | None:
    return next((meaning for pattern, meaning in known if re.search(pattern, words)), None)


def _redis_code(exc: BaseException) -> str | None:
    """The word that an error of the server's begins with: redis-py takes off those that it knows."""
    found = _CODE.match(_PIPELINE.sub("", str(exc)))
    return getattr(exc, "status_code", None) or (found[0] if found else None)


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__
