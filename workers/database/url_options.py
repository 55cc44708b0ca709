"""What may follow the ? of DATABASE_URL: what libpq takes, in values that it takes, and nothing for SQLite."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

_NUMBERS = frozenset(
    {
        *("port", "connect_timeout", "tcp_user_timeout"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    }
)
_FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})
_SEVERAL = frozenset({"host", "port"})
# With these it would look for a server.
_PLACES = frozenset({*_SEVERAL, "hostaddr"})
_UNKNOWN = "has a value that the driver does not know"
_NO_SERVICE = "names no service of ~/.pg_service.conf or of the file that PGSERVICEFILE names: write it there"
# It would make another kind of session.
_REFUSED = frozenset({"replication"})


def check_options(url: URL) -> None:
    """Raise ValueError where the driver could not use the options of a URL; shows no value, nor what is no option."""
    if not url.query:
        return
    if url.get_backend_name() == "sqlite":
        raise ValueError("SQLite takes no options: take out what follows the ? (a ? in the file's name is %3F)")
    _check_names(url)
    for name, value in url.query.items():
        if isinstance(value, tuple) and name not in _SEVERAL:
            raise ValueError(f"the option {name} stands in it twice: keep one of them")
        if name in _NUMBERS and not all(part.isdecimal() for part in _parts(value)):
            raise ValueError(f"the option {name} is no whole number")
        if name in _FILES and isinstance(value, str) and Path(value).is_fifo():
            raise ValueError(f"the option {name} names a pipe, and has to name a regular file")
        if isinstance(value, str) and name not in _PLACES and not _is_taken(name, value):
            raise ValueError(f"the option {name} {_NO_SERVICE if name == 'service' else _UNKNOWN}")
    _check_hosts(url)


def _check_names(url: URL) -> None:
    from psycopg import pq  # noqa: PLC0415 - most URLs have no options

    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} - _REFUSED
    if not set(url.query) <= known:
        # Not shown: what is no option may be a part of a password.
        raise ValueError(
            "only libpq's options may stand in it, like sslmode, sslrootcert, connect_timeout, application_name, "
            "options or target_session_attrs"
        )


def _check_hosts(url: URL) -> None:
    """Raise ValueError where libpq would take a host and its port together for a host, or mix up which is whose."""
    several = "write several hosts like postgresql://USER:PASSWORD@/NAME?host=HOST,HOST&port=PORT,PORT"
    try:
        reached = url.get_dialect()().create_connect_args(url)[1]
    except (ArgumentError, ValueError):
        raise ValueError(f"its hosts and ports do not go together: {several}") from None
    for host in str(reached.get("host") or "").split(","):
        if ":" in host and not (host.startswith(("/", "@")) or _is_address(host)):
            raise ValueError(f"the option host takes hosts alone, without ports and brackets: {several}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _parts(value: str | tuple[str, ...]) -> list[str]:
    """One for each host, where there are several."""
    return ",".join([value] if isinstance(value, str) else value).split(",")


def _is_taken(name: str, value: str) -> bool:
    """Whether libpq takes the value: it looks at it before it looks for the server, and here there is none."""
    from psycopg import conninfo, pq  # noqa: PLC0415 - the same

    nowhere = {"host": "/nowhere", "hostaddr": "", "user": "nobody", "dbname": "nothing", name: value}
    connection = pq.PGconn.connect_start(conninfo.make_conninfo(**nowhere).encode())
    try:
        return not connection.error_message.startswith((b"invalid ", b"definition of service", b"service file"))
    finally:
        connection.finish()
