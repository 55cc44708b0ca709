"""Ids as people give them: whole, by a unique beginning or end, or 'last'; a purchase by its number too.

Ids rise with time (UUID version 7): what is made within the same 65 s has its first 8 characters in common, and the
last 8 are random. So tables show the end.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, Table

from schemas.numbering.numbers import NumberError, read_number
from schemas.status import DEAD, Status
from schemas.tables.purchases import ORDER, PURCHASE
from tasks.reports.queries import ids_between, ids_like, latest_id, list_purchases
from workers.views.errors import Failure, NotThere
from workers.views.words import short_id

LAST = "last"

STEP = 100
"""Purchases that one transaction looks up: an order may have very many."""

_PART = re.compile(r"[0-9a-f]{8,32}")
_WHOLE = 32
_SHOWN = 3
_OF_A_NUMBER = 1000
_ALIVE = frozenset(Status) - DEAD


def order_id(conn: Connection, text: str) -> str:
    """The id of the order that *text* means. Raises Failure."""
    return _find(conn, ORDER, "order", text)


def purchase_id(conn: Connection, text: str, wanted: Collection[Status] = _ALIVE) -> str:
    """The id of the purchase that *text* means, or its number with the plus. Raises Failure.

    Of several purchases of a number it is the one that is in a *wanted* status, else the one that is alive; where that
    leaves several, none of them.
    """
    if not text.strip().startswith("+"):
        return _find(conn, PURCHASE, "purchase", text)
    try:
        return _of_number(conn, read_number(text), wanted)
    except NumberError as exc:
        raise Failure(str(exc)) from exc


def _find(conn: Connection, table: Table, noun: str, text: str) -> str:
    listing = f"`dialstock {noun} list` shows them"
    if text == LAST:
        latest = latest_id(conn, table)
        if latest is None:
            raise NotThere(f"there is no {noun} yet")
        return latest
    digits = text.strip().lower().replace("-", "")
    if not _PART.fullmatch(digits):
        number = ", its number with the plus" if table is PURCHASE else ""
        least = f"give at least its first or last 8 characters{number}, or 'last'"
        raise Failure(f"{text!r} is no id of {_a(noun)}: {least}; {listing}")
    found = _with_part(conn, table, digits)
    if not found:
        plus = ": a phone number is written with its plus" if table is PURCHASE and digits.isdecimal() else ""
        raise NotThere(f"there is no {noun} {text}{plus}: {listing}")
    if len(found) > 1:
        more = ", ..." if len(found) > _SHOWN else ""
        shown = ", ".join(found[:_SHOWN])
        raise Failure(f"{text!r} begins or ends several ids: {shown}{more}: give more of it, or the last 8 characters")
    return found[0]


def _with_part(conn: Connection, table: Table, digits: str) -> list[str]:
    """The ids that begin or end with *digits*, a few more than are shown at most."""
    low, high = (str(UUID(digits.ljust(_WHOLE, fill))) for fill in "0f")
    found = ids_between(conn, table, low, high, _SHOWN + 1)
    if len(digits) < _WHOLE:
        found += ids_like(conn, table, _dashed(digits.rjust(_WHOLE, "_")), _SHOWN + 1)
    return sorted(set(found))


def _dashed(digits: str) -> str:
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts)


def _of_number(conn: Connection, number: str, wanted: Collection[Status]) -> str:
    rows = list_purchases(conn, _OF_A_NUMBER, number=number)
    if not rows:
        raise NotThere(f"there is no purchase of {number}: `dialstock purchase list` shows them")
    for statuses in (wanted, _ALIVE, frozenset(Status)):
        found = [row for row in rows if row["status"] in statuses]
        if len(found) == 1:
            return str(found[0]["id"])
        if found:
            break
    shown = ", ".join(f"{short_id(row['id'])} ({row['provider']}, {row['status']})" for row in found[:_SHOWN])
    more = ", ..." if len(found) > _SHOWN else ""
    raise Failure(f"{number} has several purchases: {shown}{more}: name one by its id")


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
