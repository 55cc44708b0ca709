"""The calls and looks of a release: taken by one worker, written before they are made, and recorded after."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, insert, or_, select, true, update

from schemas.config.policy import Policy
from schemas.outcomes import Look, clip
from schemas.releasing import ReleaseKind, ReleaseOutcome, ReleaseStatus
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER
from schemas.tables.purchases import PURCHASE
from schemas.tables.releases import OPEN, RELEASE, RELEASE_ATTEMPT
from tasks.ledger.calls.intents import SWEEP_GRACE
from tasks.ledger.calls.looks import NONE_DUE
from tasks.ledger.history import vouch
from tasks.ledger.locking import lock_orders, locked, waits_too
from tasks.ledger.releases.asking import asked_for, hindrance, hindrances
from tasks.ledger.releases.ending import close_lost, end_all, end_purchase, is_under_way, locked_releases, write
from tasks.ledger.rows import Row, is_as_it_was
from tasks.policies.backoff import call_length, longest_wait
from tasks.policies.giving_back import Past, Step, after_look, after_release
from tasks.policies.watched_time import Watch
from tasks.transactions import Raced, server_of
from tasks.watermark import Newest

_AT, _OF = RELEASE.c, PURCHASE.c
_ITS = (_OF.id == _AT.purchase_id, _OF.status == Status.RELEASING)
_DUE = (
    *(OPEN, _AT.due_at <= bindparam("now"), _OF.provider == bindparam("of"), _OF.account == bindparam("owner")),
    NONE_DUE,
)
# Asked once a second by every worker, so built once.
_FIRST_DUE = select(_AT.id).join(PURCHASE, _ITS[0]).where(*_DUE).order_by(_AT.due_at).limit(1)
_COLUMNS = [
    *(
        select(column.label(name)).where(_ITS[0]).scalar_subquery().label(name)
        for name, column in (
            *(("number", _OF.number), ("provider", _OF.provider), ("account", _OF.account)),
            ("bought_at", _OF.finished_at),
        )
    ),
    exists().where(POOL_NUMBER.c.purchase_id == _AT.purchase_id).label("has_place"),
]
_CALL = RELEASE_ATTEMPT.c
_LAST_OUTCOME = select(_CALL.outcome).where(_CALL.release_id == _AT.id).order_by(_CALL.revision.desc()).limit(1)
_PAST = (
    _LAST_OUTCOME.scalar_subquery().label("last_outcome"),
    exists().where(_CALL.release_id == _AT.id, _CALL.outcome == ReleaseKind.ACCEPTED).label("accepted"),
)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A release in the hands of one worker; `row` has the purchase's number, provider, account and `bought_at` too.

    And `has_place`: where the purchase has no place in a pool, none will be its. A place gets its purchase from the
    transaction that makes it.
    """

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


@dataclass(frozen=True, kw_only=True)
class Done:
    """A release after a step, None where that changed nothing; and its purchase's status before and after."""

    release: Row | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Both:
    """A purchase, None where it is gone, and the release that a step is about, with others that go on: all locked.

    No release where it is gone. `orders`: those of the purchase's lines, locked too, by id with their statuses.
    """

    purchase: Row | None
    releases: Sequence[Row]
    orders: Mapping[str, str] = field(default_factory=dict)


def any_due(conn: Connection, provider: str, account: str, now: datetime) -> bool:
    """Whether any release is due, and no look at a purchase: a cheap question, asked before the write lock is taken."""
    return conn.execute(_FIRST_DUE, {"now": now, "of": provider, "owner": account}).first() is not None


def take_due(
    conn: Connection, provider: str, account: str, watch: Watch, policy: Policy, *, lease: float
) -> Taken | None:
    """Take the release that is due for longest, while no look at a purchase is due; it is due again after *lease* s.

    What is in doubt is due only where the wait since its call was watched.
    """
    waited = or_(~_AT.doubt, _watched(watch, longest_wait(policy) + SWEEP_GRACE.total_seconds()))
    first = _FIRST_DUE.where(_ITS[1], waited).with_for_update(skip_locked=True, of=RELEASE).correlate(None)
    leased = {"revision": _AT.revision + 1, "due_at": watch.now + timedelta(seconds=lease)}
    take = update(RELEASE).where(_AT.id == first.scalar_subquery()).values(**leased).returning(RELEASE, *_COLUMNS)
    found = conn.execute(take, {"now": watch.now, "of": provider, "owner": account}).mappings().first()
    return None if found is None else Taken(row=dict(found))


def keep(conn: Connection, taken: Taken, until: datetime) -> None:
    """Let other workers leave it alone until *until*."""
    row = taken.row
    conn.execute(update(RELEASE).where(_AT.id == row["id"], _AT.revision == row["revision"], OPEN).values(due_at=until))


def claim(conn: Connection, taken: Taken, newest: Newest | None, now: datetime, policy: Policy) -> Intent | Done:
    """Write down a call that is about to be made, on a database that knows what was bought.

    Done where it must not be: it has moved on, or ends here for what came since (`asking.hindrance`). Raises Unvouched
    and WentBack of `tasks.ledger.history`.
    """
    row = taken.row
    vouch(conn, row["account"], newest)
    purchase = next(iter(locked(conn, [row["purchase_id"]])), None)
    present = None if purchase is None else _lock(conn, row["id"], purchase)
    if present is None or purchase is None or present["doubt"] or not _is_as_taken(present, purchase, row):
        return _unchanged(purchase)
    if hindered := hindrance(present, purchase):
        return _conclude(conn, _Both(purchase=purchase, releases=[present]), purchase, hindered, now)
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
) -> Done:
    """Write what a call came to, which changes nothing where the release had moved on.

    A yes that comes late is evidence all the same: the number is not ours any more. Not while a further call is under
    way, which could meet what is bought next: that one finds it gone.
    """
    both = _both(conn, intent.row, lambda: _close(conn, intent.row, outcome, now))
    purchase = both.purchase
    if purchase is None or not both.releases:
        return _unchanged(purchase)
    present = both.releases[0]
    yes = outcome.kind is ReleaseKind.RELEASED
    late = not is_as_it_was(present, intent.row)
    if late and (is_under_way(present, now) or not yes or present["status"] == ReleaseStatus.RELEASED):
        return _unchanged(purchase)
    return _apply(conn, both, purchase, after_release(outcome, _past(present, may_go_in=may_go_in), policy), now)


def record_look(conn: Connection, taken: Taken, look: Look, policy: Policy, now: datetime) -> Done:
    """Write what a look said, which changes nothing where the release had moved on."""
    both = _both(conn, taken.row)
    purchase = both.purchase
    if purchase is None or not both.releases or not is_as_it_was(both.releases[0], taken.row):
        return _unchanged(purchase)
    present = both.releases[0]
    close_lost(conn, present, now)
    return _apply(conn, both, purchase, after_look(look, _past(present), policy), now)


def _unchanged(purchase: Row | None) -> Done:
    status = None if purchase is None else purchase["status"]
    return Done(before=status, after=status)


def _watched(watch: Watch, longest: float) -> ColumnElement[bool]:
    return true() if watch.seconds >= longest else _AT.updated_at >= watch.since


def _lock(conn: Connection, release_id: str, purchase: Row) -> Row | None:
    """The release, with what may hinder it: the purchase is locked before."""
    return next(iter(locked_releases(conn, _AT.id == release_id, also=hindrances(purchase))), None)


def _both(conn: Connection, row: Row, between: Callable[[], None] = lambda: None) -> _Both:
    """The purchase, locked after its orders, which are told how it ends; and the release, with others that go on.

    *between* is done once the purchase is locked. Raises Raced where another order came to wait for it meanwhile.
    """
    its = [row["purchase_id"]]
    orders = lock_orders(conn, its)
    purchase = next(iter(locked(conn, its)), None)
    between()
    mine = or_(_AT.id == row["id"], and_(_AT.purchase_id == row["purchase_id"], OPEN))
    also = (asked_for(row["purchase_id"]).label("asked_now"), *_PAST, waits_too(its, orders).label("other_order"))
    found = {one["id"]: one for one in locked_releases(conn, mine, also=also)}
    present = found.pop(row["id"], None)
    if present is not None and present["other_order"]:
        raise Raced
    return _Both(purchase=purchase, orders=orders, releases=[] if present is None else [present, *found.values()])


def _is_as_taken(present: Row, purchase: Row, row: Row) -> bool:
    """Whether what is to be released is what the purchase stands for, at the account that is called."""
    same = all(purchase[name] == row[name] for name in ("account", "provider", "provider_number_id"))
    return same and is_as_it_was(present, row) and bool(purchase["status"] == Status.RELEASING)


def _past(present: Row, may_go_in: float = 0.0) -> Past:
    return Past(
        number_id=present["provider_number_id"],
        attempts=present["attempts"],
        looks=present["looks"],
        found=present["found"],
        look_failures=present["look_failures"],
        refused=present["last_outcome"] == ReleaseKind.REFUSED,
        accepted=present["accepted"],
        wanted=present["asked_now"] != present["asked_for"],
        error=present["error"],
        may_go_in=may_go_in,
    )


def _apply(conn: Connection, both: _Both, purchase: Row, step: Step, now: datetime) -> Done:
    present = both.releases[0]
    if step.status is not ReleaseStatus.OPEN:
        return _conclude(conn, both, purchase, step, now)
    base = present["call_deadline"] if step.from_deadline and present["call_deadline"] else now
    values = {
        "attempts": present["attempts"] - (0 if step.counts else 1),
        "doubt": step.doubt,
        **{"looks": step.looks, "found": step.found, "look_failures": step.look_failures},
        "due_at": max(now, base + timedelta(seconds=step.delay)),
        **{"error": clip(step.error), "error_code": clip(step.error_code, 80)},
    }
    return replace(_unchanged(purchase), release=write(conn, present, values, now))


def _conclude(conn: Connection, both: _Both, purchase: Row, step: Step, now: datetime) -> Done:
    """End the first of the releases, and tell it: with the purchase released, or bought as before.

    A late yes also ends what was asked for since; not while a call of that is under way: it says it itself.
    """
    gone = step.status is ReleaseStatus.RELEASED
    present, *since = both.releases if gone else both.releases[:1]
    if any(is_under_way(one, now) for one in since):
        return replace(_unchanged(purchase), release=present)
    standing = (Status.RELEASING, Status.PURCHASED) if gone else (Status.RELEASING,)
    after: Row | None = None
    if purchase["status"] in standing and purchase["provider_number_id"] == present["provider_number_id"]:
        after = end_purchase(conn, purchase, step, now, both.orders)
    ended = end_all(conn, [present, *since], after or purchase, step, now)[0]
    return Done(release=ended, before=purchase["status"], after=(after or purchase)["status"])


def _close(conn: Connection, row: Row, outcome: ReleaseOutcome, now: datetime) -> None:
    values = {
        "ended_at": now,
        "outcome": str(outcome.kind),
        "http_status": outcome.http_status,
        "error_code": clip(outcome.error_code, 80),
        "detail": clip(outcome.detail or outcome.error),
    }
    # A server that was replaced may have given its revision to another call.
    same = (_CALL.release_id == row["id"], _CALL.revision == row["revision"], _CALL.deadline == row["call_deadline"])
    conn.execute(update(RELEASE_ATTEMPT).where(*same).values(**values))
