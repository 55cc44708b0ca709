"""The intent of a call to buy: a dispatched purchase is claimed before its call is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, insert, literal, select, tuple_, update

from schemas.status import Status
from schemas.tables import ATTEMPT, PURCHASE
from tasks.ledger.rows import Row

SWEEP_GRACE = timedelta(seconds=2)
"""How long after its deadline a call is taken for lost: its own worker comes first."""

# Built once: building a statement costs more than running it.
_AT = PURCHASE.c
_WANTED = (
    # SQLite finds no index for tuples, and would read the whole table.
    _AT.id.in_(bindparam("ids", expanding=True)),
    tuple_(_AT.id, _AT.revision, _AT.account).in_(bindparam("wanted", expanding=True)),
    _AT.status == literal(str(Status.DISPATCHED)),
)
# Several are locked by id, before the update locks them in any order.
_SEVERAL = (_AT.id.in_(select(_AT.id).where(*_WANTED).order_by(_AT.id).with_for_update(key_share=True)), _WANTED[-1])
_KEEP = update(PURCHASE).where(*_SEVERAL).values(due_at=bindparam("until")).returning(*_AT)
_CLAIM_ONE, _CLAIM_SEVERAL = (
    update(PURCHASE)
    .where(*mine)
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
    .returning(*_AT)
    for mine in (_WANTED, _SEVERAL)
)
_INTENT = insert(ATTEMPT)


Wanted = tuple[str, int, str]
"""A dispatched purchase: its id, its revision, and the account that is to buy it, which must be the row's own."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to make one call. `row` is the purchase as claimed; the call ends by `deadline`.

    `marked` is whether the intent stands in the watermark: until then no call may go out.
    """

    row: Row
    started_at: datetime
    deadline: datetime
    marked: bool = False


def keep(conn: Connection, wanted: Sequence[Wanted], until: datetime) -> dict[Wanted, Row]:
    """Let the sweep leave dispatched purchases alone until *until*: a search precedes the claim.

    Returns those that are at their revision, and of their account, still.
    """
    found = conn.execute(_KEEP, {**_which(wanted), "until": until}).mappings()
    return {(row["id"], row["revision"], row["account"]): dict(row) for row in found}


def claim(conn: Connection, wanted: Sequence[Wanted], now: datetime, seconds: float) -> list[Claim | None]:
    """Claim dispatched purchases, and write the intents: calls that end in *seconds* at the latest.

    Returns None for a purchase that is not at its revision any more, a duplicate or outdated message, and for one of
    another account: its alias was pointed elsewhere.
    """
    deadline = now + timedelta(seconds=seconds)
    times = {"due_at": deadline + SWEEP_GRACE, "call_deadline": deadline, "updated_at": now}
    statement = _CLAIM_ONE if len(wanted) == 1 else _CLAIM_SEVERAL
    found = [dict(row) for row in conn.execute(statement, {**_which(wanted), **times}).mappings()]
    intents = [
        {"purchase_id": row["id"], "revision": row["revision"], "started_at": now, "deadline": deadline}
        for row in found
    ]
    if intents:
        conn.execute(_INTENT, intents)
    claims = {
        (row["id"], row["revision"] - 1, row["account"]): Claim(row=row, started_at=now, deadline=deadline)
        for row in found
    }
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


def _which(wanted: Sequence[Wanted]) -> Row:
    return {"ids": [purchase_id for purchase_id, *_ in wanted], "wanted": wanted}
