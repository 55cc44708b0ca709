"""What an answer's bytes may unpack to: a kilobyte can be made to say a gigabyte, by mistake or on purpose.

One coding is taken, and of those that we asked for (`Accept-Encoding`, RFC 9110, 8.4): gzip (RFC 1952), and deflate as
the zlib format (RFC 1950) or bare (RFC 1951), as servers disagree. It is unpacked up to the bound and no byte further.
A JSON text is bounded by its values too: `[],` takes a hundred times its three bytes in memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import httpx

ACCEPTED = "gzip, deflate"

MAX_BODY = 16 * 1024 * 1024
"""Bytes of a body, packed or not."""

MAX_VALUES = 1_000_000
"""Commas and opening brackets of a JSON text: about 100 MB in memory at the worst."""

_GZIP, _ZLIB, _BARE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_HEADER = 2


class TooLarge(Exception):
    """More than anything that a provider documents: it is not read."""


def read_whole(response: httpx.Response) -> bytes:
    """The unpacked body. Raises TooLarge, httpx.DecodingError, and what reading raises."""
    packed = _collect(response.iter_raw())
    names = [name.lower() for name in response.headers.get_list("content-encoding", split_commas=True)]
    match [name for name in names if name not in ("", "identity")]:
        case []:
            return packed
        case ["gzip" | "x-gzip"]:
            return _unpacked(packed, _GZIP)
        case ["deflate"]:
            return _unpacked(packed, _ZLIB if _is_zlib(packed) else _BARE)
    raise httpx.DecodingError("the answer's content coding is none that was asked for, or several")


def check_values(text: str) -> None:
    """Raise TooLarge where *text* as JSON would take too much memory."""
    if text.count(",") + text.count("[") + text.count("{") > MAX_VALUES:
        raise TooLarge(f"the answer holds more than {MAX_VALUES} values")


def _collect(chunks: Iterable[bytes]) -> bytes:
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > MAX_BODY:
            raise TooLarge(f"the answer is larger than {MAX_BODY} bytes")
    return bytes(found)


def _unpacked(packed: bytes, window: int) -> bytes:
    if not packed:
        return packed
    inflating = zlib.decompressobj(window)
    try:
        content = inflating.decompress(packed, MAX_BODY + 1)
    except zlib.error as exc:
        raise httpx.DecodingError(str(exc)) from exc
    if len(content) > MAX_BODY:
        raise TooLarge(f"the answer unpacks to more than {MAX_BODY} bytes")
    if not inflating.eof or inflating.unused_data:
        raise httpx.DecodingError("the packed answer breaks off, or goes on after its end")
    return content


def _is_zlib(packed: bytes) -> bool:
    """By its first two bytes (RFC 1950, 2.2): the method, and a sum that comes out."""
    head = packed[:_HEADER]
    return len(head) == _HEADER and head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head) % 31 == 0
