"""Ids as people give them: whole, as a unique beginning, or 'last'."""

from __future__ import annotations

import re
from uuid import UUID

from sqlalchemy import Connection, Table

from schemas.tables.purchases import ORDER, PURCHASE
from tasks.queries import ids_between, latest_id
from workers.cli.terminal.errors import Failure

LAST = "last"
_BEGINNING = re.compile(r"[0-9a-f]{8,32}")
_SHOWN = 3


def order_id(conn: Connection, text: str) -> str:
    """The id of the order that *text* means. Raises Failure."""
    return _find(conn, ORDER, "order", text)


def purchase_id(conn: Connection, text: str) -> str:
    """The id of the purchase that *text* means. Raises Failure."""
    return _find(conn, PURCHASE, "purchase", text)


def _find(conn: Connection, table: Table, noun: str, text: str) -> str:
    listing = f"`dialstock {noun} list` shows them"
    if text == LAST:
        latest = latest_id(conn, table)
        if latest is None:
            raise Failure(f"there is no {noun} yet")
        return latest
    digits = text.strip().lower().replace("-", "")
    if not _BEGINNING.fullmatch(digits):
        raise Failure(f"{text!r} is no id of {_a(noun)}: give at least its first 8 characters, or 'last'; {listing}")
    low, high = str(UUID(digits.ljust(32, "0"))), str(UUID(digits.ljust(32, "f")))
    found = ids_between(conn, table, low, high, _SHOWN + 1)
    if not found:
        raise Failure(f"there is no {noun} {text}: {listing}")
    if len(found) > 1:
        more = ", ..." if len(found) > _SHOWN else ""
        raise Failure(f"{text!r} begins several ids: {', '.join(found[:_SHOWN])}{more}: give more of it")
    return found[0]


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
