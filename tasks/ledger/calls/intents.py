"""The intent of a call to buy: a dispatched purchase is claimed before its call is made."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, literal, select, update

from schemas.status import Status
from schemas.tables.purchases import ATTEMPT, PURCHASE
from tasks.ledger.among import among
from tasks.ledger.outdated import OUTDATED
from tasks.ledger.rows import Row, new_id
from tasks.transactions import server_of

SWEEP_GRACE = timedelta(seconds=2)
"""How long after its deadline a call is taken for lost: its own worker comes first."""

# Built once: building a statement costs more than running it.
_AT = PURCHASE.c
# By id, so that two who claim the same do not wait for each other.
_DISPATCHED = (
    select(PURCHASE)
    .where(among(_AT.id, "ids"), _AT.status == literal(str(Status.DISPATCHED)), ~OUTDATED)
    .order_by(_AT.id)
)
_LOCKED = _DISPATCHED.with_for_update(key_share=True)
_KEEP = update(PURCHASE).where(among(_AT.id, "ids")).values(due_at=bindparam("until"))
_CLAIM = (
    update(PURCHASE)
    .where(among(_AT.id, "ids"))
    .values(
        status=literal(str(Status.PURCHASING)),
        revision=_AT.revision + 1,
        attempts=_AT.attempts + 1,
        due_at=bindparam("due_at"),
        call_deadline=bindparam("call_deadline"),
        looks=0,
        look_failures=0,
        updated_at=bindparam("updated_at"),
    )
)
_INTENT = insert(ATTEMPT)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A dispatched purchase: its id, its revision, and the account that is to buy it, which must be the row's own.

    `reference` is our name of the call, where the provider keeps one: two calls for one purchase are the same want.
    """

    purchase_id: str
    revision: int
    account: str
    reference: str | None = field(default=None, compare=False)


def new_reference(purchase_id: str) -> str:
    """A name for one call that is to buy *purchase_id*, the first of its batch: 40 characters, and never given again.

    It stands in the intent and in the mark before the call goes out, and looks ask by those. Drawn by chance, because a
    row that was restored counts its revisions once more: of a name made of these there may be an order of before the
    restore too, and which numbers were in that one nobody here knows. So an order of another number is never passed
    over: under this name it is what this call bought. A name that is forgotten with its intent and its mark leaves the
    look by number, as at a provider that keeps no names.
    """
    return f"{purchase_id.replace('-', '')}-{new_id()[-7:]}"


def former_reference(purchase_id: str, revision: int) -> str:
    """What older programs named the call that was claimed at *revision*: their marks do not tell it."""
    return f"{purchase_id}-{(revision - 1) % 1000}"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to make one call. `row` is the purchase as claimed; the call ends by `deadline`.

    `released_at` is when the purchase was released. `began` is `started_at` by this machine's own clock
    (time.monotonic), which nobody sets. `reference` is our name of the call, where it has one, `server` what committed
    it. `marked` is whether the intent stands in the watermark: until then no call may go out.
    """

    row: Row
    released_at: datetime
    started_at: datetime
    deadline: datetime
    began: float
    reference: str | None = None
    server: str = ""
    marked: bool = False


def any_waits(conn: Connection, wanted: Sequence[Wanted]) -> bool:
    """Whether any could be claimed: asked without a lock."""
    return bool(_found(conn, wanted, _DISPATCHED))


def keep(conn: Connection, wanted: Sequence[Wanted], until: datetime) -> dict[Wanted, Row]:
    """Let the sweep leave dispatched purchases alone until *until*: a search precedes the claim.

    Returns those that are at their revision, and of their account, still.
    """
    found = _lock(conn, wanted)
    if found:
        conn.execute(_KEEP, {"ids": _ids(found), "until": until})
    return {one: {**row, "due_at": until} for one, row in found.items()}


def claim(conn: Connection, wanted: Sequence[Wanted], now: datetime, seconds: float) -> list[Claim | None]:
    """Claim dispatched purchases, and write the intents: calls that end in *seconds* at the latest.

    Returns None for a purchase that is not at its revision any more, a duplicate or outdated message, and for one of
    another account: its alias was pointed elsewhere, in our file or in that of a process that started later.
    """
    began, deadline = time.monotonic(), now + timedelta(seconds=seconds)
    found = _lock(conn, wanted)
    if not found:
        return [None] * len(wanted)
    times = {"due_at": deadline + SWEEP_GRACE, "call_deadline": deadline, "updated_at": now}
    conn.execute(_CLAIM, {"ids": _ids(found), **times})
    claims = {
        one: Claim(
            row=_claimed(row, times),
            released_at=row["updated_at"],
            started_at=now,
            deadline=deadline,
            began=began,
            reference=one.reference,
            server=server_of(conn),
        )
        for one, row in found.items()
    }
    conn.execute(_INTENT, [_intent(one) for one in claims.values()])
    # Taken out: of two messages for one purchase, one has the claim.
    return [claims.pop(one, None) for one in wanted]


def extend(conn: Connection, claimed: Claim, until: datetime) -> None:
    """Let the sweep leave a claimed purchase alone until *until*: its call is over and a look follows."""
    at = PURCHASE.c
    conn.execute(
        update(PURCHASE)
        .where(at.id == claimed.row["id"], at.revision == claimed.row["revision"])
        .values(due_at=until + SWEEP_GRACE)
    )


def _lock(conn: Connection, wanted: Sequence[Wanted]) -> dict[Wanted, Row]:
    """Those of the wanted that are dispatched, at their revision and of their account still, locked."""
    return _found(conn, wanted, _LOCKED)


def _found(conn: Connection, wanted: Sequence[Wanted], query: Select[Any]) -> dict[Wanted, Row]:
    rows = map(dict, conn.execute(query, {"ids": _ids(wanted)}).mappings())
    found = {Wanted(row["id"], row["revision"], row["account"]): row for row in rows}
    return {one: found[one] for one in wanted if one in found}


def _ids(wanted: Iterable[Wanted]) -> list[str]:
    return [one.purchase_id for one in wanted]


def _intent(claim: Claim) -> Row:
    return {
        "purchase_id": claim.row["id"],
        "revision": claim.row["revision"],
        "started_at": claim.started_at,
        "deadline": claim.deadline,
        "reference": claim.reference,
    }


def _claimed(row: Row, times: Row) -> Row:
    """The row as the claim leaves it."""
    counts = {"revision": row["revision"] + 1, "attempts": row["attempts"] + 1, "looks": 0, "look_failures": 0}
    return {**row, **counts, **times, "status": str(Status.PURCHASING)}
