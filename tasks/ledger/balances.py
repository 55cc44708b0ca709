"""The daily looks at the accounts' balances: who has one under way, when the next is due, and the event of a low one.

`began_at` tells one claim from another: only who began a look ends it, and tells of what it saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, null, update

from schemas.config.balances import Balance
from schemas.events import EventType
from schemas.outcomes import clip
from schemas.tables.accounts import BALANCE_CHECK
from tasks.ledger.rows import emit, insert_new, other_event

EVERY = timedelta(days=1)

LEASE = timedelta(minutes=15)
"""How long after its begin a look is due again: its worker died. Longer than a turn and a call may take."""

RETRY_AFTER = timedelta(hours=1)
"""How long after one that could not be read the next is due."""

_AT = BALANCE_CHECK.c
# Each account's at each beat, so built once.
_TAKE = (
    update(BALANCE_CHECK)
    .where(_AT.account == bindparam("owner"), _AT.due_at <= bindparam("now"))
    .values(provider=bindparam("alias"), began_at=bindparam("now"), due_at=bindparam("until"))
    .values(dict.fromkeys(("ended_at", "balance", "low", "error"), null()))
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An account's look that one worker took, under an alias of the account."""

    account: str
    alias: str
    began: datetime


def take(conn: Connection, claim: Claim) -> bool:
    """Take the account's look where it is due; one worker gets it, however many were asked."""
    now = claim.began
    insert_new(conn, BALANCE_CHECK, [{"account": claim.account, "provider": claim.alias, "due_at": now}])
    values = {"owner": claim.account, "alias": claim.alias, "now": now, "until": now + LEASE}
    return conn.execute(_TAKE, values).rowcount == 1


def read(conn: Connection, claim: Claim, now: datetime, found: Balance, *, low: Balance) -> None:
    """Write down what was seen, and tell of a balance at *low* or below; not where another look took its place.

    The next is due a day after this one began. *low* is in the currency of the balance.
    """
    is_low = bool(found.is_low(low))
    ended = _end(conn, claim, ended_at=now, balance=str(found), low=is_low, due_at=claim.began + EVERY)
    if ended and is_low:
        data = {"provider": claim.alias, "balance": f"{found.amount:f}", "low_balance": f"{low.amount:f}"}
        data |= {"currency": found.currency}
        emit(conn, [other_event(EventType.PROVIDER_LOW_BALANCE, now, data, provider=claim.alias, subject=None)])


def unclear(conn: Connection, claim: Claim, now: datetime, error: str) -> None:
    """Write down why it says nothing; the next is due sooner."""
    _end(conn, claim, ended_at=now, error=clip(error), due_at=now + RETRY_AFTER)


def _end(conn: Connection, claim: Claim, **values: object) -> bool:
    mine = (_AT.account == claim.account, _AT.began_at == claim.began, _AT.ended_at.is_(None))
    return conn.execute(update(BALANCE_CHECK).where(*mine).values(**values)).rowcount == 1
