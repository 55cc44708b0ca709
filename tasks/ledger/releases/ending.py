"""How releases end: what becomes of the purchase, and who is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, TextClause, exists, select, update

from schemas.events import EventType
from schemas.outcomes import clip
from schemas.releasing import ReleaseKind, ReleaseStatus
from schemas.status import Status
from schemas.tables.releases import OPEN, RELEASE, RELEASE_ATTEMPT
from tasks.ledger.orders.reopen import open_locked
from tasks.ledger.releases.keys import JOINED, requesters
from tasks.ledger.rows import Row, emit, move, move_untold, purchase_event, tell_requesters
from tasks.policies.giving_back import Step

_TOLD_BY = {ReleaseStatus.RELEASED: EventType.RELEASED, ReleaseStatus.KEPT: EventType.KEPT}
_CALL = RELEASE_ATTEMPT.c
_UNANSWERED = exists().where(_CALL.release_id == RELEASE.c.id, _CALL.outcome.is_(None))


def locked_releases(
    conn: Connection, *its: ColumnElement[bool] | TextClause, also: Sequence[ColumnElement[Any]] = ()
) -> list[Row]:
    """Releases of one purchase, which is locked before, as they are to be ended; with *also* further columns.

    What else `end_all` has to ask about them they tell by `unanswered` and `joined`: nobody else writes a call or a key
    while the purchase is locked.
    """
    query = select(RELEASE, _UNANSWERED.label("unanswered"), JOINED.label("joined"), *also).where(*its)
    return [dict(row) for row in conn.execute(query.with_for_update(of=RELEASE)).mappings()]


def still_open(conn: Connection, purchase_id: str) -> list[Row]:
    """The release of a purchase that goes on, if any, locked; the purchase is locked before."""
    return locked_releases(conn, RELEASE.c.purchase_id == purchase_id, OPEN)


def is_under_way(release: Row, now: datetime) -> bool:
    """Whether a call of an open release may not have ended: it could meet what is bought next under the same id."""
    return bool(release["doubt"] and release["call_deadline"] > now)


def end_purchase(
    conn: Connection, purchase: Row, step: Step, now: datetime, orders: Mapping[str, str] = MappingProxyType({})
) -> Row | None:
    """Have a purchase released, or bought as before, and tell who asked for it. Returns it as it is then.

    *orders* are those that have it on a line, locked, with their statuses: where it is released they open again.
    """
    if step.status is ReleaseStatus.RELEASED:
        after = move(conn, purchase, Status.RELEASED, now, error=None, error_code=None)
        open_locked(conn, orders, now)
        return after
    after = move_untold(conn, purchase, Status.PURCHASED, now, finished_at=purchase["finished_at"])
    if after is not None:
        tell_requesters(conn, EventType.KEPT, after, now, **_said(step.error, step.error_code))
    return after


def end_all(conn: Connection, releases: Sequence[Row], purchase: Row, step: Step, now: datetime) -> list[Row]:
    """End releases of a purchase, which is given as it is then, and tell who asked for them. Returns them after."""
    for release in releases:
        close_lost(conn, release, now)
    ended = [_end(conn, release, step, now) for release in releases]
    _tell(conn, ended, purchase, now)
    return ended


def close_lost(conn: Connection, present: Row, now: datetime) -> None:
    """The call whose worker went away: it may have been executed."""
    if not present["unanswered"]:
        return
    lost = {"ended_at": now, "outcome": str(ReleaseKind.UNKNOWN), "error_code": "worker_gone"}
    mine = (_CALL.release_id == present["id"], _CALL.outcome.is_(None), _CALL.deadline <= now)
    conn.execute(update(RELEASE_ATTEMPT).where(*mine).values(**lost))


def write(conn: Connection, present: Row, values: Mapping[str, Any], now: datetime) -> Row:
    """Change a release that is locked. Returns it after."""
    after = {**values, "revision": present["revision"] + 1, "updated_at": now}
    conn.execute(update(RELEASE).where(RELEASE.c.id == present["id"]).values(**after))
    return {**present, **after}


def _tell(conn: Connection, releases: Sequence[Row], purchase: Row, now: datetime) -> None:
    """Tell each request for one of *releases*, which have ended, under its own key, with the purchase as it is then."""
    for release in releases:
        kind = _TOLD_BY[ReleaseStatus(release["status"])]
        said = {"release_id": release["id"], "release_status": release["status"]}
        if kind is EventType.KEPT:
            said |= _said(release["error"], release["error_code"])
        emit(conn, [purchase_event(kind, purchase, now, **own, **said) for own in requesters(conn, release)])


def _end(conn: Connection, present: Row, step: Step, now: datetime) -> Row:
    ended = {"status": str(step.status), "doubt": False, "due_at": None, "finished_at": now}
    return write(conn, present, {**ended, **_said(step.error, step.error_code)}, now)


def _said(error: str | None, code: str | None) -> Row:
    return {"error": clip(error), "error_code": clip(code, 80)}
