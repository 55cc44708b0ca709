"""The calls and looks of a release: taken by one worker, written before they are made, and recorded after."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, insert, or_, select, true, update

from schemas.config.policy import Policy
from schemas.outcomes import Look, clip
from schemas.releasing import ReleaseKind, ReleaseOutcome, ReleaseStatus
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from schemas.tables.releases import OPEN, RELEASE, RELEASE_ATTEMPT
from tasks.ledger.calls.intents import SWEEP_GRACE
from tasks.ledger.history import vouch
from tasks.ledger.locking import locked, locked_with_orders
from tasks.ledger.releases.asking import asked_for, hindrance
from tasks.ledger.releases.ending import close_lost, end_all, end_purchase, is_under_way, still_open, write
from tasks.ledger.rows import Row, is_as_it_was
from tasks.policies.backoff import call_length, longest_wait
from tasks.policies.giving_back import Past, Step, after_look, after_release
from tasks.policies.watched_time import Watch
from tasks.transactions import server_of
from tasks.watermark import Newest

_AT, _OF = RELEASE.c, PURCHASE.c
_ITS = (_OF.id == _AT.purchase_id, _OF.status == Status.RELEASING)
# Asked once a second by every worker, so built once.
_DUE = (
    select(_AT.id)
    .join(PURCHASE, _OF.id == _AT.purchase_id)
    .where(OPEN, _AT.due_at <= bindparam("now"), _OF.provider == bindparam("of"), _OF.account == bindparam("owner"))
    .order_by(_AT.due_at)
    .limit(1)
)
_COLUMNS = (_OF.number, _OF.provider, _OF.account, _OF.finished_at.label("bought_at"))


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A release in the hands of one worker; `row` has the purchase's number, provider, account and `bought_at` too."""

    row: Row

    @property
    def doubt(self) -> bool:
        """Whether its next step is a look."""
        return bool(self.row["doubt"])


@dataclass(frozen=True, kw_only=True)
class Intent:
    """The right to make one call to release, which ends by `deadline`. `began` is `started_at` in time.monotonic."""

    row: Row
    started_at: datetime
    deadline: datetime
    began: float
    server: str = ""


def any_due(conn: Connection, provider: str, account: str, now: datetime) -> bool:
    """Whether any release is due: a cheap question, asked before the write lock is taken."""
    return conn.execute(_DUE, {"now": now, "of": provider, "owner": account}).first() is not None


def take_due(
    conn: Connection, provider: str, account: str, watch: Watch, policy: Policy, *, lease: float
) -> Taken | None:
    """Take the release that is due for longest; untouched, it is due again after *lease* seconds.

    What is in doubt is due only where the wait since its call was watched.
    """
    waited = or_(~_AT.doubt, _watched(watch, longest_wait(policy) + SWEEP_GRACE.total_seconds()))
    due = (OPEN, _AT.due_at <= watch.now, waited)
    mine = (*_ITS, _OF.provider == provider, _OF.account == account)
    first = select(RELEASE, *_COLUMNS).join(PURCHASE, mine[0]).where(*due, *mine[1:]).order_by(_AT.due_at).limit(1)
    found = conn.execute(first.with_for_update(skip_locked=True, of=RELEASE)).mappings().first()
    if found is None:
        return None
    values = {"revision": found["revision"] + 1, "due_at": watch.now + timedelta(seconds=lease)}
    conn.execute(update(RELEASE).where(_AT.id == found["id"]).values(**values))
    return Taken(row={**found, **values})


def keep(conn: Connection, taken: Taken, until: datetime) -> None:
    """Let other workers leave it alone until *until*."""
    row = taken.row
    conn.execute(update(RELEASE).where(_AT.id == row["id"], _AT.revision == row["revision"], OPEN).values(due_at=until))


def claim(conn: Connection, taken: Taken, newest: Newest | None, now: datetime, policy: Policy) -> Intent | None:
    """Write down a call that is about to be made, on a database that knows what was bought.

    None where it must not be: it has moved on, or ends here for what came since (`asking.hindrance`). Raises Unvouched
    and WentBack of `tasks.ledger.history`.
    """
    row = taken.row
    vouch(conn, row["account"], newest)
    purchase = next(iter(locked(conn, [row["purchase_id"]])), None)
    present = _lock(conn, row["id"])
    if present is None or purchase is None or present["doubt"] or not _is_as_taken(present, purchase, row):
        return None
    if hindered := hindrance(conn, present, purchase):
        _conclude(conn, present, purchase, hindered, now)
        return None
    began, deadline = time.monotonic(), now + timedelta(seconds=call_length(policy))
    values = {
        **{"revision": present["revision"] + 1, "attempts": present["attempts"] + 1, "call_deadline": deadline},
        **{"doubt": True, "looks": 0, "found": None, "look_failures": 0},
        **{"due_at": deadline + SWEEP_GRACE, "updated_at": now},
    }
    conn.execute(update(RELEASE).where(_AT.id == present["id"]).values(**values))
    call = {"release_id": present["id"], "revision": values["revision"], "started_at": now, "deadline": deadline}
    conn.execute(insert(RELEASE_ATTEMPT).values(**call))
    return Intent(row={**row, **values}, started_at=now, deadline=deadline, began=began, server=server_of(conn))


def record(
    conn: Connection, intent: Intent, outcome: ReleaseOutcome, policy: Policy, now: datetime, *, may_go_in: float = 0.0
) -> Row | None:
    """Write what a call came to. Returns the release after, None where it had moved on and the answer changed nothing.

    A yes that comes late is evidence all the same: the number is not ours any more. Not while a further call is under
    way, which could meet what is bought next: that one finds it gone.
    """
    purchase, present = _both(conn, intent.row)
    _close(conn, intent.row, outcome, now)
    if purchase is None or present is None:
        return None
    yes = outcome.kind is ReleaseKind.RELEASED
    late = not is_as_it_was(present, intent.row)
    if late and (is_under_way(present, now) or not yes or present["status"] == ReleaseStatus.RELEASED):
        return None
    past = _past(conn, present, may_go_in=may_go_in)
    return _apply(conn, present, purchase, after_release(outcome, past, policy), now)


def record_look(conn: Connection, taken: Taken, look: Look, policy: Policy, now: datetime) -> Row | None:
    """Write what a look said. Returns the release after, None where it had moved on."""
    purchase, present = _both(conn, taken.row)
    if purchase is None or present is None or not is_as_it_was(present, taken.row):
        return None
    close_lost(conn, present, now)
    return _apply(conn, present, purchase, after_look(look, _past(conn, present), policy), now)


def _watched(watch: Watch, longest: float) -> ColumnElement[bool]:
    return true() if watch.seconds >= longest else _AT.updated_at >= watch.since


def _lock(conn: Connection, release_id: str) -> Row | None:
    found = conn.execute(select(RELEASE).where(_AT.id == release_id).with_for_update()).mappings().first()
    return None if found is None else dict(found)


def _both(conn: Connection, row: Row) -> tuple[Row | None, Row | None]:
    """The purchase, locked after its orders, which are told how it ends; and the release."""
    purchase = next(iter(locked_with_orders(conn, [row["purchase_id"]])), None)
    return purchase, _lock(conn, row["id"])


def _is_as_taken(present: Row, purchase: Row, row: Row) -> bool:
    """Whether what is to be released is what the purchase stands for, at the account that is called."""
    same = all(purchase[name] == row[name] for name in ("account", "provider", "provider_number_id"))
    return same and is_as_it_was(present, row) and bool(purchase["status"] == Status.RELEASING)


def _past(conn: Connection, present: Row, may_go_in: float = 0.0) -> Past:
    at = RELEASE_ATTEMPT.c
    calls = select(at.outcome).where(at.release_id == present["id"]).order_by(at.revision)
    outcomes = list(conn.execute(calls).scalars())
    return Past(
        number_id=present["provider_number_id"],
        attempts=present["attempts"],
        looks=present["looks"],
        found=present["found"],
        look_failures=present["look_failures"],
        refused=outcomes[-1:] == [ReleaseKind.REFUSED],
        accepted=ReleaseKind.ACCEPTED in outcomes,
        wanted=asked_for(conn, present["purchase_id"]) != present["asked_for"],
        error=present["error"],
        may_go_in=may_go_in,
    )


def _apply(conn: Connection, present: Row, purchase: Row, step: Step, now: datetime) -> Row | None:
    if step.status is not ReleaseStatus.OPEN:
        return _conclude(conn, present, purchase, step, now)
    base = present["call_deadline"] if step.from_deadline and present["call_deadline"] else now
    values = {
        "attempts": present["attempts"] - (0 if step.counts else 1),
        "doubt": step.doubt,
        **{"looks": step.looks, "found": step.found, "look_failures": step.look_failures},
        "due_at": max(now, base + timedelta(seconds=step.delay)),
        **{"error": clip(step.error), "error_code": clip(step.error_code, 80)},
    }
    return write(conn, present, values, now)


def _conclude(conn: Connection, present: Row, purchase: Row, step: Step, now: datetime) -> Row:
    """End a release, and tell it: with the purchase released, or bought as before.

    A late yes also ends the release that was asked for since; not while a call of that is under way: it says it itself.
    """
    gone = step.status is ReleaseStatus.RELEASED
    since = [one for one in still_open(conn, purchase["id"]) if one["id"] != present["id"]] if gone else []
    if any(is_under_way(one, now) for one in since):
        return present
    standing = (Status.RELEASING, Status.PURCHASED) if gone else (Status.RELEASING,)
    after: Row | None = None
    if purchase["status"] in standing and purchase["provider_number_id"] == present["provider_number_id"]:
        after = end_purchase(conn, purchase, step, now)
    return end_all(conn, [present, *since], after or purchase, step, now)[0]


def _close(conn: Connection, row: Row, outcome: ReleaseOutcome, now: datetime) -> None:
    at = RELEASE_ATTEMPT.c
    values = {
        "ended_at": now,
        "outcome": str(outcome.kind),
        "http_status": outcome.http_status,
        "error_code": clip(outcome.error_code, 80),
        "detail": clip(outcome.detail or outcome.error),
    }
    same = (at.release_id == row["id"], at.revision == row["revision"])
    conn.execute(update(RELEASE_ATTEMPT).where(*same).values(**values))
