"""What a provider shows of a number that was given back: it is no evidence for another purchase of it.

A list may show what is gone for as long as the policy takes it to hide what is there: until its last look. By its id
one record is told from another; some providers give the number itself for one, which tells nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from schemas.config.policy import Policy
from schemas.numbering.numbers import digits_only
from schemas.outcomes import Look, LookKind
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.policies.retry import GIVEN_BACK
from tasks.policies.watched_time import ALWAYS, Watch


def believed(conn: Connection, row: Mapping[str, Any], look: Look, policy: Policy, watch: Watch) -> Look:
    """*look*, which was begun when the purchase was *row*; unclear where what it found may be what was given back.

    What an order of ours tells is of that order. Shortly after the clock was set, no date tells what is hidden by now.
    """
    if look.kind not in (LookKind.OWNED, LookKind.PROCESSING) or look.provider_order_id is not None:
        return look
    hidden_within = policy.reconcile_after[-1]
    was_set = watch.was_set_within(hidden_within + policy.timeout)
    shows_by = ALWAYS if was_set else row["updated_at"] - timedelta(seconds=hidden_within)
    if not is_outdated(conn, row, look.provider_number_id, shows_by):
        return look
    error = "the provider shows what was given back, under its id or too soon after"
    return Look(kind=LookKind.UNCLEAR, error=error, error_code=GIVEN_BACK)


def is_outdated(conn: Connection, row: Mapping[str, Any], known: str | None, shows_by: datetime) -> bool:
    """Whether a record of *row*'s number under the id *known* may be what another purchase gave back.

    Where ids do not tell, it may be unless that was before *shows_by*: when all that is gone was hidden from who reads.
    """
    return any(_may_be(row, known, then, soon=at >= shows_by) for then, at in _given_back(conn, row))


def is_gone(conn: Connection, row: Mapping[str, Any], known: str | None, over: datetime) -> bool:
    """Whether what a call that was *over* then bought under the id *known* was given back after it."""
    return any(at > over and _may_be(row, known, then, soon=True) for then, at in _given_back(conn, row))


def released_since(conn: Connection, account: str, numbers: Collection[str], moment: datetime) -> set[str]:
    """Those of *numbers* of which a purchase was released at *moment* or later."""
    at = PURCHASE.c
    since = (at.status == Status.RELEASED, at.finished_at >= moment)
    return set(conn.execute(select(at.number).where(at.account == account, at.number.in_(numbers), *since)).scalars())


def _may_be(row: Mapping[str, Any], known: str | None, then: str | None, *, soon: bool) -> bool:
    if known is None or then is None:
        return soon
    same, itself = (digits_only(known) == digits_only(one) for one in (then, row["number"]))
    return same and (soon or not itself)


def _given_back(conn: Connection, row: Mapping[str, Any]) -> list[tuple[str | None, datetime]]:
    """The id that each other purchase of the number had, and when it was released."""
    at = PURCHASE.c
    query = select(at.provider_number_id, at.finished_at).where(
        at.number == row["number"], at.account == row["account"], at.id != row["id"], at.status == Status.RELEASED
    )
    return [(one.provider_number_id, one.finished_at) for one in conn.execute(query)]
