"""The addresses of servers among the settings: read from a variable or its file, and checked.

Messages show no password, and name the mend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from schemas.regular_file import read_regular
from workers.database.url_options import check_options
from workers.redis_access import sentinel_url, tls_options

_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite",
}
_DATABASE_HINT = "write it like postgresql://USER:PASSWORD@HOST/NAME or sqlite:///PATH"
_REDIS_HINT = "write it like redis://:PASSWORD@HOST:6379/0 (rediss:// for TLS, sentinel:// for Redis Sentinel)"
_ENCODE_HINT = "percent-encode special characters in the password (@ is %40, / is %2F, # is %23, ; is %3B)"
_HOSTS_HINT = "write it like postgresql://USER:PASSWORD@/NAME?host=HOST,HOST&port=PORT,PORT"
_COLON_HINT = "write redis://:PASSWORD@HOST for a password alone, redis://USER:@HOST for a user without one"


class SettingsError(ValueError):
    """A variable that cannot be used: says which, what is wrong with it, and how to mend it. Shows no password."""


def read_url(env: Mapping[str, str], name: str) -> str:
    """What the variable *name*, or the file that its _FILE names, holds; empty without both. Raises SettingsError."""
    value, file = env.get(name, "").strip(), env.get(f"{name}_FILE", "").strip()
    if value and file:
        raise SettingsError(f"{name} and {name}_FILE are both set: keep one of them")
    if not file:
        return value
    if "://" in file:
        raise SettingsError(f"{name}_FILE holds a URL, and should name the file of one: put the URL in {name}")
    try:
        text = read_regular(Path(file)).decode().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{name}_FILE names {file}, which cannot be read: {exc}") from exc
    if not text:
        raise SettingsError(f"{name}_FILE names {file}, which is empty: put the URL there")
    return text


def database_url(value: str) -> str:
    """The URL with the driver that we use. Raises SettingsError."""
    # 'from None' throughout: the parsers' own messages quote parts of the URL.
    value = _with_lower_scheme(value)
    try:
        url = make_url(value)
    except ArgumentError:
        raise SettingsError(f"DATABASE_URL is not a URL: {_DATABASE_HINT}") from None
    except ValueError:
        if _names_several(value):
            raise SettingsError(f"DATABASE_URL: several hosts with ports stand before the /: {_HOSTS_HINT}") from None
        raise SettingsError(f"DATABASE_URL: the port is not a number: {_ENCODE_HINT}") from None
    if url.drivername not in _DRIVERS:
        raise SettingsError(f"DATABASE_URL: scheme {url.drivername!r} is not supported: {_DATABASE_HINT}")
    if url.drivername == "sqlite":
        _check_sqlite(url)
    else:
        _check_host(url, value)
    try:
        check_options(url.set(drivername=_DRIVERS[url.drivername]))
    except ValueError as exc:
        raise SettingsError(f"DATABASE_URL: {exc}") from None
    return url.set(drivername=_DRIVERS[url.drivername]).render_as_string(hide_password=False)


def _check_host(url: URL, value: str) -> None:
    """What stands behind the user and the password is shown: none of it may be a part of theirs."""
    behind = value.partition("://")[2]
    behind = (behind if url.username is None else behind.partition("@")[2]).partition("?")[0]
    if "@" in behind or "%40" in (url.host or ""):
        raise SettingsError(f"DATABASE_URL: the host contains an @: {_ENCODE_HINT}, and no other @")


def _check_sqlite(url: URL) -> None:
    if url.host:
        raise SettingsError("DATABASE_URL: sqlite needs three slashes, four for an absolute path: sqlite:///PATH")
    if url.database in (None, "", ":memory:"):
        raise SettingsError("DATABASE_URL: workers cannot share SQLite in memory: name a file, sqlite:///PATH")


def redis_url(env: Mapping[str, str], name: str) -> str:
    """The address in the variable *name*, empty without one. Raises SettingsError."""
    value = _with_lower_scheme(read_url(env, name))
    if not value:
        return ""
    if sentinel_url.is_sentinel(value):
        return _checked_sentinels(name, value)
    parts = _split(name, value)
    if parts.scheme not in ("redis", "rediss"):
        raise SettingsError(f"{name}: scheme {parts.scheme!r} is not supported: {_REDIS_HINT}")
    _check_userinfo(name, parts.netloc)
    if not parts.hostname:
        raise SettingsError(f"{name} names no host: {_REDIS_HINT}, and {_ENCODE_HINT}")
    if not re.fullmatch(r"(/[0-9]*)?", parts.path) or parts.fragment:
        raise SettingsError(f"{name}: only a database number may follow the host; {_REDIS_HINT}, and {_ENCODE_HINT}")
    try:
        tls_options.check_options(parts.scheme, parts.query)
    except ValueError as exc:
        raise SettingsError(f"{name}: {exc}") from None
    return value


def _checked_sentinels(name: str, value: str) -> str:
    try:
        sentinel_url.parse(value)
    except ValueError as exc:
        raise SettingsError(f"{name}: {exc}") from None
    return value


def _check_userinfo(name: str, netloc: str) -> None:
    """Celery shows what stands before the colon, and takes what stands around a ; for two URLs."""
    userinfo, at, host = netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    if at and not colon:
        raise SettingsError(f"{name}: no colon stands before the @: {_COLON_HINT}")
    if "@" in user or ";" in userinfo or "%40" in host:
        raise SettingsError(f"{name}: it cannot be told where the password ends: {_ENCODE_HINT}, and no other @")


def _with_lower_scheme(value: str) -> str:
    """A scheme may be written in any case (RFC 3986, 3.1), and the drivers know it in small letters alone."""
    scheme, separator, rest = value.partition("://")
    return f"{scheme.lower()}{separator}{rest}" if separator else value


def _names_several(value: str) -> bool:
    """Whether a list stands in the place of the host."""
    behind = re.split(r"@|%40", value.partition("://")[2])[-1]
    return "," in re.split(r"[/?#]", behind)[0]


def _split(name: str, value: str) -> SplitResult:
    if "://" not in value:
        raise SettingsError(f"{name} is not a URL: {_REDIS_HINT}")
    if _names_several(value):
        raise SettingsError(f"{name}: several hosts stand in it: name one, or sentinels; {_REDIS_HINT}")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise SettingsError(f"{name}: the host or the port cannot be read: {_ENCODE_HINT}") from None
    return parts
