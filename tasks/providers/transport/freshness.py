"""Whether an answer is of now, or one that a cache between us and the provider has kept.

A kept answer shows what was ours, not what is. No provider documents a cache; a gateway or a content network may put
one in front of it, and these say so: `Age` (RFC 9111, 5.1), `Cache-Status` (RFC 9211), `Warning` 110 to 113 (RFC 7234,
5.5), `X-Cache` and whatever else is named as a cache or its status (Squid, Fastly, CloudFront, Cloudflare, Bunny,
Vercel, nginx), `X-Cache-Hits`, `X-Varnish` with the id of the request that filled the cache, and `Server-Timing` (W3C)
of a content network. One that says nothing still keeps the `Date` of the answer that it once got: it stands still,
where a server's goes on. Squid's `X-Cache-Lookup` says only what was there to be asked about anew.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from statistics import median_low
from time import monotonic as steady

from tasks.providers.transport.answers import http_date

REMEMBERED = 16
"""How many answers' dates are compared: what most of them say counts."""

QUESTIONS = 1000
"""Of how many questions the last date is known: about 200 bytes each."""

TICK = 5.0
"""Seconds for which a server may give the same date, beside what a call may take."""

TOLERANCE = 300.0
"""Seconds that a provider's servers may have clocks apart: as many as Kerberos allows (RFC 4120, 8.2)."""

# "MISS from HOST": what follows is a name. A hit for a pass, or for a miss, is asked of the provider.
_HIT = re.compile(
    r"(?i)(?:.*,)?(?:(?!\bfrom\b)[^,])*?(?<![a-z])(?<!not[ _-])"
    r"(?:refresh)?(?:hit|stale|updating|cached|prerender)(?![a-z]|[-_]for[-_]).*"
    r"|\s*(?:true|yes|on|1|fresh)\s*"
)
_NAMED = re.compile(r"(?:[a-z0-9]+[-_])*cache(?:d|[-_]?(?:status|hit|info|result|state|remote))?")
"""Names of caches, and of what one did: not of what it may do, or of whose it is (X-Cache-Enabled, X-Cache-Key)."""
# A reverse proxy in the application's own words: "stale, invalid, store" was asked for anew.
_PROXY = re.compile(r"(?i).*(?<![a-z])fresh(?![a-z]).*")
_TIMER = re.compile(r"(?i)\s*(?:cdn|cf|edge)?[-_]?cache[-_]?(?:status)?([-_](?:hit|stale))?\s*")
_DID = re.compile(r"(?i)(?<![a-z])(?:hit|stale|updating)(?![a-z])")
# To its end in one go, whether it has one or not: a long one is read in time.
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)("?)')
_SAYS = {
    # One for each cache on the way, where their lines were joined.
    "age": re.compile(r"(?!0+(?:\.0*)?(?:\s*,\s*0+(?:\.0*)?)*$).+"),
    "cache-status": re.compile(r"(?i).*;\s*hit\s*(?:=\s*\?1\s*)?(?:[;,].*)?"),
    "warning": re.compile(r"(?:.*,)?\s*11[0-3](?:\s.*)?"),
    "x-cache-hits": re.compile(r"(?:.*[,\s])?0*[1-9][0-9]*(?:[,\s].*)?"),
    "x-varnish": re.compile(r"(?:.*,)?\s*[0-9]+\s+[0-9]+\s*(?:,.*)?"),
    **dict.fromkeys(("x-rack-cache", "x-symfony-cache"), _PROXY),
}
_OF_STRUCTURE = ("cache-status", "warning")
"""Headers whose texts in quotes are a remark."""


def kept(headers: Mapping[str, str]) -> str | None:
    """Why an answer is not of now, as its headers say; None where they do not."""
    if _timed(headers.get("server-timing", "")):
        return "a list that a cache has kept: server-timing"
    for name in headers:
        says = _SAYS.get(name.lower()) or (_HIT if _NAMED.fullmatch(name.lower()) else None)
        value = headers[name].strip()
        if says and says.fullmatch(_unquoted(value) if name.lower() in _OF_STRUCTURE else value):
            return f"a list that a cache has kept: {name} {value[:40]}"
    return None


def _timed(value: str) -> bool:
    """Whether one of the timers is a cache's, and says that it answered."""
    for part in value.split(","):
        name, _, rest = part.partition(";")
        if (timer := _TIMER.fullmatch(name)) and (timer[1] or _DID.search(rest)):
            return True
    return False


def _unquoted(value: str) -> str:
    return _QUOTED.sub(lambda text: "" if text[2] else text[1], value)


class Dates:
    """The dates of the latest answers, from any thread, against this machine's steady clock: no clock that is wrong, or
    is set, ours or theirs, makes an answer old for long. *timeout* is what a call may take, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lags: deque[float] = deque(maxlen=REMEMBERED)
        self._last: dict[int, tuple[datetime, float]] = {}
        self._lock = threading.Lock()

    def kept(self, asked: str, headers: Mapping[str, str]) -> str | None:
        """Why an answer that just came is not of now; None where nothing says so. *asked* is what was asked for.

        The same date for the same question, minutes later, is a copy's: servers' go on, however far apart. So is one
        that lies far behind most of the latest; not behind the newest alone, for that one's server may be ahead.
        """
        if (date := http_date(headers.get("date", ""))) is None:
            return None
        now = steady()
        with self._lock:
            since = now - self._since(hash(asked), date, now)
            self._lags.append(now - date.timestamp())
            behind = self._lags[-1] - median_low(self._lags)
        if since > self._timeout + TICK:
            return f"a list that has kept its date for {since:,.0f} s: so a cache has kept it"
        if behind > self._timeout + TOLERANCE:
            return f"a list that is dated {behind:,.0f} s before what else it answers: a cache has kept it"
        return None

    def _since(self, asked: int, date: datetime, now: float) -> float:
        """Since when it has been answered with this *date*, and with no other between."""
        known, since = self._last.pop(asked, (date, now))
        self._last[asked] = date, since if known == date else now
        if len(self._last) > QUESTIONS:
            del self._last[next(iter(self._last))]
        return self._last[asked][1]
