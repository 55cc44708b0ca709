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


_Meaning = tuple[str, str]

_USER = (
    "refuses the user or the password",
    "write both in DATABASE_URL as USER:PASSWORD@HOST, with the colon between them, or let the role in "
    "(ALTER ROLE ... LOGIN PASSWORD, pg_hba.conf)",
)
_NO_DATABASE = (
    "has no database of that name",
    "create it (CREATE DATABASE), or mend the name at the end of DATABASE_URL",
)
_NO_RIGHT = (
    "does not give its user a right that is needed",
    "have its owner GRANT it (for `dialstock migrate`: USAGE and CREATE on the schema), or name another user in "
    "DATABASE_URL",
)
_READ_ONLY = (
    "takes no writes: it is a replica, or set to read only",
    "name the primary in DATABASE_URL, or set default_transaction_read_only = off for the role and the database",
)
_FULL_HOUSE = (
    "has no connection left",
    "run fewer processes, or raise max_connections (or the role's or the database's CONNECTION LIMIT, or PgBouncer's "
    "max_client_conn)",
)
_POOLER_FULL = (
    "has no connection left in its pooler",
    "raise the pooler's default_pool_size, or see in its log why it gets none; it is asked again",
)
_POOLER_ALONE = ("is away from its pooler", "start it, or mend where the pooler looks for it; it is asked again")
_POOLER_OPTION = (
    "is behind a pooler that does not know an option of the URL",
    "take that out of DATABASE_URL, and set it for the role (ALTER ROLE ... SET) instead",
)
_STARTING = ("is starting or stopping", "it is asked again; where that does not pass, its own log tells why")
_LOST = ("is away", "start it, or mend DATABASE_URL")
_BEHIND = ("lacks what this version needs", "run dialstock migrate")
# Without USAGE on a schema, or with another's before it in the search_path, PostgreSQL says the same as without a
# table; and where the tables are not seen, `dialstock migrate` would make new ones.
_NOT_SEEN = (
    "lacks what this version needs, or does not show it to its user",
    "see that the user's search_path begins with the schema of the tables (ALTER ROLE ... SET search_path) and that it "
    "may use that (GRANT USAGE ON SCHEMA); where that is so, run dialstock migrate",
)
_DISK = ("has no room left on its disk", "make room there")
_MEMORY = ("has no memory left", "give it more, or run less beside it")
_SLOW = ("ended what took too long", "see in its own log what held it up; it is asked again")
_REFUSED = ("refuses the connection", "its words tell why: mend DATABASE_URL, or the server")
_NO_CONNECTION = ("has no connection left for this process", "it is asked again; give it fewer threads")
_OTHER = ("cannot be used", "its own log tells more")

_POSTGRES: dict[str, _Meaning] = {
    "28P01": _USER,
    "28000": _USER,
    "3D000": _NO_DATABASE,
    "3F000": ("has no schema of that name", "create it, or mend the search_path of the role"),
    "42501": _NO_RIGHT,
    "25006": _READ_ONLY,
    "53100": _DISK,
    "53200": _MEMORY,
    "53300": _FULL_HOUSE,
    "57P01": ("was stopped", "start it"),
    "57P02": ("was stopped", "start it"),
    "57P03": _STARTING,
    "57014": _SLOW,
    "25P03": _SLOW,
    "55P03": _SLOW,
    "42P01": _NOT_SEEN,
    "42703": _NOT_SEEN,
    "42P10": _NOT_SEEN,
}
_POSTGRES_WORDS: tuple[tuple[str, _Meaning], ...] = (
    (r"password authentication failed|no password supplied|auth(entication)? failed|no pg_hba.conf entry", _USER),
    (r"role \".*\" does not exist|not permitted to log in|no such user", _USER),
    (r"database \".*\" does not exist|no such database", _NO_DATABASE),
    (r"permission denied", _NO_RIGHT),
    (r"too many (clients|connections)|remaining connection slots|no more connections allowed", _FULL_HOUSE),
    (r"query_wait_timeout|client_login_timeout", _POOLER_FULL),
    (r"server_login_retry|cannot connect to server|server conn crashed|server connection closed", _POOLER_ALONE),
    (r"^(query|idle transaction) timeout", _SLOW),
    (r"database .* is disabled", _STARTING),
    (r"unsupported startup parameter", _POOLER_OPTION),
    (r"database system is|not yet accepting connections", _STARTING),
    (r"session is read-only|server is in hot standby|during recovery|recovery is in progress", _READ_ONLY),
    # How libpq tells a server's own words: their gravity comes first, in the server's language.
    (r"failed: \w+:  ", _REFUSED),
)
_SQLITE: dict[int, _Meaning] = {
    1: _BEHIND,
    3: _NO_RIGHT,
    5: ("is held by another process", "end that one, or run this again in a moment"),
    6: ("is held by another process", "end that one, or run this again in a moment"),
    8: ("takes no writes", "let this user write the file and its folder"),
    10: ("cannot be read or written", "look after the disk"),
    11: ("is damaged", "restore it from a backup"),
    13: _DISK,
    14: ("cannot be opened", "mend the path in DATABASE_URL, or let this user into its folder"),
    26: ("is no database", "name another file in DATABASE_URL, or restore it from a backup"),
}

_REDIS_USER = (
    "refuses the user or the password",
    "mend them in REDIS_URL: redis://:PASSWORD@HOST, or redis://USER:PASSWORD@HOST for a user of an ACL",
)
_REDIS_AWAY = (
    "is away",
    "start it, or mend REDIS_URL (rediss:// for a port that speaks TLS, redis:// for one that does not)",
)
AWAY = _REDIS_AWAY[0]
"""What a Redis does that answers nothing at all."""
_REDIS_RIGHT = ("does not give its user a right that is needed", "grant that (ACL SETUSER), or name another user")
CLUSTER = (
    "is a Redis Cluster, or a part of one, which is not supported",
    "name a server in REDIS_URL that is none (cluster-enabled no), or sentinels: "
    "sentinel://HOST:26379,HOST:26379,HOST:26379/NAME/0",
)
_REDIS: dict[str, _Meaning] = {
    "NOAUTH": ("asks for a password", "write it in REDIS_URL: redis://:PASSWORD@HOST"),
    "WRONGPASS": _REDIS_USER,
    "NOPERM": _REDIS_RIGHT,
    "READONLY": ("is a replica, which takes no writes", "name the master in REDIS_URL, or promote this one"),
    "MISCONF": ("takes no writes: it cannot save to its disk", "make room there; its own log tells why it cannot save"),
    "OOM": ("has no memory left", "raise maxmemory, or take out what others keep there"),
    "LOADING": ("is loading its data", "it is asked again; this passes by itself"),
    "MASTERDOWN": ("is a replica that has lost its master", "start the master, or name it in REDIS_URL"),
    "NOREPLICAS": ("takes no writes: too few of its replicas are there", "start them, or lower min-replicas-to-write"),
    "BUSY": ("is held up by a script", "see which (SLOWLOG GET); SCRIPT KILL ends it"),
    "UNBLOCKED": ("was given another role", "it is asked again; this passes by itself"),
    "CLUSTERDOWN": CLUSTER,
    "MOVED": CLUSTER,
    "ASK": CLUSTER,
    "CROSSSLOT": CLUSTER,
}
_REDIS_WORDS: tuple[tuple[str, _Meaning], ...] = (
    (
        r"was the master, and is a replica now",
        ("has another master", "its sentinels tell which within seconds: it is asked again"),
    ),
    (
        r"sentinels know no master",
        ("has no master of that name", "write it in REDIS_URL as the sentinels have it (SENTINEL MASTERS)"),
    ),
    (
        r"a sentinel does not let us in",
        ("is behind sentinels that ask for a password", "write it in REDIS_URL: .../NAME/0?sentinel_password=PASSWORD"),
    ),
    (
        r"no sentinel answers",
        ("is away", "start its sentinels, or mend their addresses in REDIS_URL (sentinels:// where they speak TLS)"),
    ),
    (
        r"its master is down",
        ("has no master now", "a failover follows within seconds; else SENTINEL CKQUORUM NAME tells what is missing"),
    ),
    # Valkey's and Redis's word where a script is refused what NOPERM refuses a client.
    (r"ACL failure in script|user executing the script can't", _REDIS_RIGHT),
    (r"without any password configured|invalid password|invalid username-password", _REDIS_USER),
    (r"max number of clients reached", ("has no connection left", "run fewer processes, or raise maxclients")),
    (r"DB index is out of range|SELECT is not allowed", ("has no such database", "mend the number in REDIS_URL")),
)
_AWAY = (RedisConnectionError, RedisTimeout, OSError)
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
    away = code is None and any(isinstance(one, _AWAY) for one in _chain(exc))
    meaning = _REDIS.get(code or "") or _by_words(_REDIS_WORDS, words) or (_REDIS_AWAY if away else _OTHER)
    return Trouble(*meaning, words if code is None or code in words else f"{code} {words}")


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


def _meaning_of_database(exc: BaseException, words: str) -> _Meaning:
    if isinstance(exc, PoolTimeout):
        return _NO_CONNECTION
    cause = getattr(exc, "orig", None) or exc
    if (number := getattr(cause, "sqlite_errorcode", None)) is not None:
        return _SQLITE.get(number & 0xFF, _OTHER)
    if (state := getattr(cause, "sqlstate", None)) is not None:
        return _POSTGRES.get(state) or _by_words(_POSTGRES_WORDS, words) or _OTHER
    return _by_words(_POSTGRES_WORDS, words) or _LOST


def _by_words(known: Sequence[tuple[str, _Meaning]], words: str) -> _Meaning | None:
    return next((meaning for pattern, meaning in known if re.search(pattern, words)), None)


def _redis_code(exc: BaseException) -> str | None:
    """The word that an error of the server's begins with: redis-py takes off those that it knows."""
    found = _CODE.match(_PIPELINE.sub("", str(exc)))
    return getattr(exc, "status_code", None) or (found[0] if found else None)


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__
