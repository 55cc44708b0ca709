"""A database that went back in time: which calls it has lost, and what becomes of their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Select, bindparam, exists, select, update

from schemas.events import EventType
from schemas.outcomes import HISTORY_LOST, Outcome, OutcomeKind
from schemas.settling import Finding, FindingKind
from schemas.status import Status
from schemas.tables.history import ANSWERED
from schemas.tables.purchases import ALIVE, ATTEMPT, PURCHASE
from schemas.tables.releases import RELEASE, RELEASE_ATTEMPT
from tasks.chunks import chunks
from tasks.ledger.among import among
from tasks.ledger.audit.findings import stand_in
from tasks.ledger.calls.attempts import MAY_BE_EXECUTED, close_attempt
from tasks.ledger.rows import Row, emit, insert_new, move, new_id, purchase_event
from tasks.transactions import NotHere, server_of
from tasks.watermark import Mark, Newest

_CHUNK = 500
_VOUCHED = "dialstock_vouched"
_STANDS = (Status.PURCHASED, Status.RELEASING)
_BOUGHT = (*_STANDS, Status.PROCESSING)
_WAITING = (Status.QUEUED, Status.DISPATCHED)
_UNTOLD = Outcome(
    kind=OutcomeKind.UNKNOWN,
    error_code=HISTORY_LOST,
    error="the database went back in time while the call was under way",
)
# By id alone: SQLite finds no index for pairs.
_STARTED, _GIVEN_BACK, _ANSWERED = (
    select(caller, at.revision, at.started_at).where(among(caller, "ids"), *where)
    for caller, at, where in (
        (ATTEMPT.c.purchase_id, ATTEMPT.c, ()),
        (RELEASE_ATTEMPT.c.release_id, RELEASE_ATTEMPT.c, ()),
        (ANSWERED.c.purchase_id, ANSWERED.c, (ANSWERED.c.account == bindparam("account"),)),
    )
)
_FORGOTTEN = select(PURCHASE.c.id, PURCHASE.c.finished_at).where(
    among(PURCHASE.c.id, "ids"),
    PURCHASE.c.finished_at.is_not(None),
    PURCHASE.c.attempts > 0,
    ~exists().where(ATTEMPT.c.purchase_id == PURCHASE.c.id),
)
_ENDED = select(RELEASE.c.id, RELEASE.c.finished_at).where(
    among(RELEASE.c.id, "ids"),
    RELEASE.c.finished_at.is_not(None),
    ~exists().where(RELEASE_ATTEMPT.c.release_id == RELEASE.c.id),
)
_NEVER = datetime.min.replace(tzinfo=UTC)
_DATE = (
    update(PURCHASE)
    .where(PURCHASE.c.id == bindparam("of"))
    .values(call_deadline=bindparam("deadline"), pool=bindparam("for_pool"))
)


class Unvouched(NotHere):
    """Nobody has looked yet whether *server*, behind this connection, knows what was bought."""

    def __init__(self, account: str, server: str) -> None:
        super().__init__(account)
        self.server = server


class WentBack(Exception):
    """The database has lost calls of an account: nothing may be bought or given back there."""


def lost(conn: Connection, marks: Sequence[Mark], *, account: str) -> list[Mark]:
    """Those of the marks whose attempt the database does not have, and that nobody answered for in it at *account*.

    One at the same revision that began at another time is another call, made by who did not know of the first. What was
    answered at another account that may have made the call is not answered here: it may have been this one. What began
    before its purchase ended is not lost where all calls of that purchase were forgotten since (`tasks.ledger.forget`):
    a database that knows the end knew the call. So it is with a release that ended.
    """
    missing = _unknown(conn, _ANSWERED, unknown(conn, marks), account=account)
    ended: dict[str, datetime] = {}
    for chunk in chunks(missing, _CHUNK):
        for query in (_FORGOTTEN, _ENDED):
            ended.update(row[:2] for row in conn.execute(query, {"ids": list({mark.caller for mark in chunk})}))
    gone = {mark for mark in missing if mark.started_at > ended.get(mark.caller, _NEVER)}
    return [mark for mark in marks if mark in gone]


def unknown(conn: Connection, marks: Sequence[Mark]) -> list[Mark]:
    """Those of the marks, of whichever accounts, whose attempt the database does not have. No other can be lost."""
    missing = _unknown(conn, _STARTED, _to_buy(marks))
    return missing + _unknown(conn, _GIVEN_BACK, [mark for mark in marks if mark.release_id is not None])


def _to_buy(marks: Sequence[Mark]) -> list[Mark]:
    return [mark for mark in marks if mark.release_id is None]


def answer(conn: Connection, marks: Sequence[Mark], *, account: str, now: datetime) -> None:
    """Write down that lost calls were answered for at *account*.

    Their marks stay: a database that goes back once more lost this. What stands as bought for their numbers was called
    for when the marks say, and for which pool: limits for a day count it.
    """
    _date_bought(conn, account, _to_buy(marks))
    insert_new(conn, ANSWERED, [_answered(mark, account, now) for mark in marks])


def _answered(mark: Mark, account: str, now: datetime) -> Row:
    call = {"purchase_id": mark.caller, "revision": mark.revision, "started_at": mark.started_at}
    return {"account": account, **call, "answered_at": now}


def _date_bought(conn: Connection, account: str, marks: Sequence[Mark]) -> None:
    last = _newest(marks)
    bought = [row for row in _alive(conn, account, sorted(last)).values() if row["status"] in _BOUGHT]
    calls = [(row, last[row["number"]]) for row in bought]
    dates = [{"of": row["id"], "deadline": _last_call(row, mark), "for_pool": _pool(row, mark)} for row, mark in calls]
    if dates:
        conn.execute(_DATE, dates)


def _last_call(row: Row, mark: Mark) -> datetime:
    return max(mark.deadline, row["call_deadline"] or mark.deadline)


def _pool(row: Row, mark: Mark) -> str | None:
    pool: str | None = row["pool"] or mark.pool
    return pool


def _newest(marks: Sequence[Mark]) -> dict[str, Mark]:
    """The last call for each number."""
    return {mark.number: mark for mark in sorted(marks, key=lambda one: (one.started_at, one.revision))}


def _unknown(conn: Connection, calls: Select[Any], marks: Sequence[Mark], **of: str) -> list[Mark]:
    known: set[tuple[Any, ...]] = set()
    for chunk in chunks(marks, _CHUNK):
        rows = conn.execute(calls, {"ids": list({mark.caller for mark in chunk}), **of})
        known.update(map(tuple, rows))
    return [mark for mark in marks if (mark.caller, mark.revision, mark.started_at) not in known]


def vouch(conn: Connection, account: str, newest: Newest | None) -> None:
    """Let nothing be bought on a connection before it was looked up whether its server knows the *newest* marks of
    *account*, read for that very server.

    Raises Unvouched where they are needed, and WentBack.
    """
    for problem in vouch_all(conn, [(account, newest)]).values():
        raise problem


def vouch_all(conn: Connection, read: Iterable[tuple[str, Newest | None]]) -> dict[str, Unvouched | WentBack]:
    """The same of many accounts, whose marks are looked up together. Returns what is against each of the others."""
    known = vouched(conn)
    asked = [(account, newest) for account, newest in read if account not in known]
    if not asked:
        return {}
    server = server_of(conn)
    marks = {account: newest.marks for account, newest in asked if newest is not None and newest.server == server}
    problems: dict[str, Unvouched | WentBack] = {
        account: Unvouched(account, server) for account, _ in asked if account not in marks
    }
    missing = set(unknown(conn, [*chain.from_iterable(marks.values())]))
    for account, its in marks.items():
        if gone := lost(conn, [mark for mark in its if mark in missing], account=account):
            problems[account] = WentBack(f"the database has lost {len(gone)} of the newest calls at {account}")
        else:
            known.add(account)
    return problems


def vouched(conn: Connection) -> set[str]:
    """The accounts whose newest marks were looked up on this very connection, and found.

    A server that was restored or promoted cannot be reached by a connection to the one before it: it is a new
    connection that must be looked at, and each only once.
    """
    found: set[str] = conn.info.setdefault(_VOUCHED, set())
    return found


def doubt(conn: Connection, *, account: str, numbers: Sequence[str]) -> None:
    """Remember of what waits for *numbers*, which lost calls were made for, that it may have been bought."""
    _set_doubt(conn, list(_alive(conn, account, numbers).values()), doubt=True)


def doubt_no_more(conn: Connection, *, account: str, numbers: Sequence[str]) -> None:
    """Forget it where the provider says that *numbers* are not ours, and no call that is known may have bought them."""
    at = ATTEMPT.c
    rows = [row for row in _alive(conn, account, numbers).values() if row["status"] in _WAITING]
    called = (at.purchase_id.in_([row["id"] for row in rows]), MAY_BE_EXECUTED)
    known = set(conn.execute(select(at.purchase_id).where(*called)).scalars())
    _set_doubt(conn, [row for row in rows if row["id"] not in known], doubt=False)


def _set_doubt(conn: Connection, rows: Sequence[Row], *, doubt: bool) -> None:
    ids = [row["id"] for row in rows if bool(row["doubt"]) is not doubt]
    conn.execute(update(PURCHASE).where(PURCHASE.c.id.in_(ids)).values(doubt=doubt))


def hold(conn: Connection, marks: Sequence[Mark], *, account: str, alias: str, now: datetime, said: str) -> list[Row]:
    """Hold a purchase for each lost call's number that nothing else stands for: it may have been bought. *said* is what
    became of the account.

    Whatever is not bought is held, also what is looked at, or called for: its looks would be those of an earlier call,
    and over before what the lost one bought can show. Where there is none, one is made, under the lost one's id where
    that is free, so that a late answer and those who know it find it. What was given back is left to the audit. Returns
    those that were held.
    """
    newest = _newest(_to_buy(marks))
    error = f"the database lost a call that may have bought it; {said}"
    changes = {"error": error, "error_code": HISTORY_LOST, "doubt": True}
    alive = _alive(conn, account, sorted(newest))
    moved = (_hold_one(conn, row, newest[number], now, changes) for number, row in alive.items())
    held = [after for after in moved if after]
    unknown = [newest[number] for number in sorted(newest) if number not in alive]
    taken = _present(conn, [mark.purchase_id for mark in unknown])
    made = [{**_lost_purchase(mark, taken, account, alias, now), **changes} for mark in unknown]
    insert_new(conn, PURCHASE, made)
    present = _present(conn, [row["id"] for row in made])
    new = [row for row in made if row["id"] in present]
    emit(conn, [purchase_event(EventType.HELD, row, now) for row in new])
    return held + new


def _hold_one(conn: Connection, row: Row, mark: Mark, now: datetime, changes: Row) -> Row | None:
    """None where it is bought, or held for this call already. What was held before is told as in doubt, by its last
    call: else an audit may fail it for an earlier one.
    """
    deadline = _last_call(row, mark)
    for_this = row["error_code"] == HISTORY_LOST and row["call_deadline"] == deadline
    if row["status"] in _STANDS or (row["status"] == Status.HELD and for_this):
        return None
    if row["status"] == Status.PURCHASING:
        close_attempt(conn, row, _UNTOLD, now)
    return move(conn, row, Status.HELD, now, **changes, call_deadline=deadline, pool=_pool(row, mark))


def _alive(conn: Connection, account: str, numbers: Sequence[str]) -> dict[str, Row]:
    at = PURCHASE.c
    query = select(PURCHASE).where(at.account == account, ALIVE, at.number.in_(numbers)).order_by(at.id)
    return {row["number"]: dict(row) for row in conn.execute(query.with_for_update()).mappings()}


def _present(conn: Connection, ids: Sequence[str]) -> set[str]:
    return set(conn.execute(select(PURCHASE.c.id).where(PURCHASE.c.id.in_(ids))).scalars())


def _lost_purchase(mark: Mark, taken: set[str], account: str, alias: str, now: datetime) -> Row:
    return {
        **stand_in(Finding(kind=FindingKind.ORPHAN, number=mark.number, provider=alias), account, now),
        "id": new_id() if mark.purchase_id in taken else mark.purchase_id,
        "revision": mark.revision + 1,
        "attempts": 1,
        "call_deadline": mark.deadline,
        "pool": mark.pool,
        "status": Status.HELD,
        "success": None,
        "already_owned": False,
        "finished_at": None,
    }


def still_bought(conn: Connection, account: str, numbers: Sequence[str]) -> list[str]:
    """Those of *numbers* that a purchase of *account* stands for as bought, or as on its way back."""
    at = PURCHASE.c
    standing = (at.account == account, at.number.in_(numbers), at.status.in_(_STANDS))
    return list(conn.execute(select(at.number).where(*standing).order_by(at.number)).scalars())
