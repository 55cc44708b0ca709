"""Whether an answer is of now, or one that a cache between us and the provider has kept.

A kept answer shows what was ours, not what is. No provider documents a cache; a gateway or a content network may put
one in front of it, and these say so: `Age` (RFC 9111, 5.1), `Cache-Status` (RFC 9211), `Warning` 110 to 113 (RFC 7234,
5.5), `X-Cache` and its kin (Squid, Varnish, Fastly, CloudFront, nginx), `CF-Cache-Status` (Cloudflare). One that says
nothing still keeps the `Date` of the answer that it once got.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Mapping

from tasks.providers.transport.answers import http_date

REMEMBERED = 16
"""How many answers' dates are compared: a server whose clock is wrong spoils no more than that."""

TOLERANCE = 60.0
"""Seconds that a provider's servers may have clocks apart."""

_SAYS = {
    "age": re.compile(r".*[^0\s].*"),
    "cache-status": re.compile(r"(?i).*;\s*hit\s*(?:=\s*\?1\s*)?(?:[;,].*)?"),
    "warning": re.compile(r"(?:.*,)?\s*11[0-3](?:\s.*)?"),
    **dict.fromkeys(
        ("x-cache", "x-cache-status", "x-proxy-cache", "cf-cache-status"),
        re.compile(r"(?i).*(?:hit|stale|updating).*"),
    ),
}


def kept(headers: Mapping[str, str], behind: float, timeout: float) -> str | None:
    """Why an answer is not of now; None where it is. It is *behind* others by seconds, and came within *timeout*."""
    for name, says in _SAYS.items():
        if says.fullmatch(value := headers.get(name, "").strip()):
            return f"a list that a cache has kept: {name} {value[:40]}"
    if behind > TOLERANCE + timeout:
        return f"a list that is dated {behind:,.0f} s before what else it answers: a cache has kept it"
    return None


class Dates:
    """The dates of the latest answers, from any thread, against this machine's steady clock: no clock that is wrong, or
    is set, ours or theirs, makes an answer old.
    """

    def __init__(self) -> None:
        self._lags: deque[float] = deque(maxlen=REMEMBERED)

    def behind(self, headers: Mapping[str, str]) -> float:
        """Seconds by which an answer that just came is older than the newest of the latest; 0.0 without a date."""
        date = http_date(headers.get("date", ""))
        if date is None:
            return 0.0
        lag = time.monotonic() - date.timestamp()
        self._lags.append(lag)
        return lag - min(tuple(self._lags))
