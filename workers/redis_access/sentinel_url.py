"""A URL that names sentinels, and the master that they watch: one string for the broker and for all else.

sentinel://USER:PASSWORD@HOST:26379,HOST:26379,HOST:26379/NAME/0

Celery's own form for the broker, `sentinel://HOST;sentinel://HOST` with the master's name in another setting, cannot
stand in one variable. User and password are those of the servers, as with Celery; those of the sentinels themselves are
the options `sentinel_username` and `sentinel_password`. `sentinels://` speaks TLS, with both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from workers.redis_access import tls_options

SCHEMES = ("sentinel", "sentinels")
PORT = 26379
HINT = "write it like sentinel://:PASSWORD@HOST:26379,HOST:26379,HOST:26379/NAME/0 (sentinels:// for TLS)"

_USER, _PASSWORD = "sentinel_username", "sentinel_password"
_ONCE = (
    "the user and the password of the servers stand once, before the first sentinel (in a password @ is %40, / is %2F)"
)
_URL = re.compile(r"(\w+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
# What a sentinel takes for a name: https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/
_PATH = re.compile(r"/([A-Za-z0-9._-]+)(?:/([0-9]*))?")


@dataclass(frozen=True, kw_only=True)
class SentinelAddress:
    """Which sentinels watch the master *name*, and what they and the servers ask for; shows no password.

    `tls` has redis-py's options, and is None without TLS.
    """

    sentinels: tuple[tuple[str, int], ...]
    name: str
    db: int
    username: str | None
    password: str | None = field(repr=False)
    sentinel_username: str | None
    sentinel_password: str | None = field(repr=False)
    tls: Mapping[str, Any] | None = field(compare=False)

    @property
    def public_url(self) -> str:
        """The same without users, passwords and options."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.sentinels)
        return f"{'sentinel' if self.tls is None else 'sentinels'}://{hosts}/{self.name}/{self.db}"


def is_sentinel(url: str) -> bool:
    """Whether *url* names sentinels."""
    return url.partition(":")[0] in SCHEMES


def parse(url: str) -> SentinelAddress:
    """Raises ValueError: what is wrong, and the mend; it shows nothing that may be a secret."""
    if ";" in url:
        raise ValueError(f"sentinels stand in one URL, with commas between them, and a ; is %3B: {HINT}")
    found = _URL.fullmatch(url)
    if found is None or found[5]:
        raise ValueError(f"it is not a URL of sentinels: {HINT}")
    scheme, netloc, path, query, _ = found.groups()
    userinfo, at, hosts = netloc.rpartition("@")
    username, password = _credentials(userinfo) if at else (None, None)
    name, db = _master(path)
    own, tls = _options(scheme, query or "")
    return SentinelAddress(
        sentinels=tuple(_sentinel(host) for host in hosts.split(",")),
        name=name,
        db=db,
        username=username,
        password=password,
        sentinel_username=own.get(_USER) or None,
        sentinel_password=own.get(_PASSWORD) or None,
        tls=tls,
    )


def _credentials(userinfo: str) -> tuple[str | None, str | None]:
    user, colon, password = userinfo.partition(":")
    if not colon:
        raise ValueError("no colon stands before the @: write sentinel://:PASSWORD@HOST for a password alone")
    if "@" in userinfo or "," in user:
        raise ValueError(f"it cannot be told where the password ends: {_ONCE}")
    return unquote(user) or None, unquote(password) or None


def _sentinel(host: str) -> tuple[str, int]:
    found = _HOST.fullmatch(host)
    # Not shown: it may be a part of a password.
    if found is None or not 0 < int(found[2] or PORT) < 65536:
        raise ValueError(f"a sentinel is not HOST or HOST:PORT: {HINT}; {_ONCE}")
    return found[1].strip("[]"), int(found[2] or PORT)


def _master(path: str) -> tuple[str, int]:
    if re.fullmatch(r"/?[0-9]*", path):
        raise ValueError(f"it names no master, as the sentinels know it: {HINT}")
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError(f"only the master's name and a database number may follow the sentinels: {HINT}; {_ONCE}")
    return found[1], int(found[2] or 0)


def _options(scheme: str, query: str) -> tuple[dict[str, str], Mapping[str, Any] | None]:
    """The options for the sentinels, and those of TLS."""
    pairs = parse_qsl(query, keep_blank_values=True)
    own = [pair for pair in pairs if pair[0] in (_USER, _PASSWORD)]
    rest = urlencode([pair for pair in pairs if pair not in own])
    tls_options.check_options(scheme, rest, further=(_USER, _PASSWORD))
    if len(dict(own)) < len(own):
        raise ValueError("an option stands in it twice: keep one of them")
    if _USER in dict(own) and not dict(own).get(_PASSWORD):
        raise ValueError(f"{_USER} needs {_PASSWORD}")
    return dict(own), tls_options.of_query(rest) if scheme == "sentinels" else None
