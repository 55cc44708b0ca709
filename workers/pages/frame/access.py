"""Who may change something on the pages, and under which name it is kept.

Flower's password is what lets somebody in. DIALSTOCK_OPERATORS names those who may also change something, by the user
names of Flower's passwords or the addresses of its log-ins, with commas between; the others read only. Where it is not
set, everybody may whom Flower lets in.
"""

from __future__ import annotations

import binascii
import ipaddress
import os
from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import urlsplit

OPERATORS = "DIALSTOCK_OPERATORS"


def basic_user(authorization: str) -> str | None:
    """The user's name in an `Authorization: Basic` header, which Flower has checked; None where there is none."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme != "Basic":
        return None
    try:
        return b64decode(credentials).decode().partition(":")[0] or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def may_change(who: str, environ: Mapping[str, str] | None = None) -> bool:
    """Whether *who* is an operator."""
    named = (os.environ if environ is None else environ).get(OPERATORS, "").strip()
    return not named or who in [name.strip() for name in named.split(",")]


def same_origin(host: str, origin: str | None, site: str | None) -> bool:
    """Whether a request comes from a page of ours, as far as its browser tells: `Origin` and `Sec-Fetch-Site`."""
    if site is not None and site not in ("same-origin", "none"):
        return False
    return origin is None or urlsplit(origin).netloc == host


def is_this_machine(host: str) -> bool:
    """Whether the `Host` that a browser asked for is loopback: no name that somebody else may point here."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
