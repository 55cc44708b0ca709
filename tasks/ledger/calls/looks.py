"""Purchases that the provider is asked about: in doubt (*unknown*), or accepted and not usable yet (*processing*)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Integer, bindparam, literal, or_, select, update

from schemas.config.policy import Policy
from schemas.outcomes import WRONG_NUMBER, Look, LookKind, OutcomeKind
from schemas.status import Status
from schemas.tables.purchases import ATTEMPT, FOLLOWED, PURCHASE
from tasks.ledger.among import among
from tasks.ledger.calls.attempts import MAY_BE_EXECUTED, YES
from tasks.ledger.calls.found import bought_before, write_found, write_refused
from tasks.ledger.calls.given_back import believed
from tasks.ledger.calls.outcomes import has_ended, settle, take_evidence
from tasks.ledger.rows import Row, is_as_it_was, lock, watched
from tasks.policies.backoff import longest_wait
from tasks.policies.retry import Decision, History, after_look, after_poll
from tasks.policies.watched_time import Watch

IN_DOUBT = (None, OutcomeKind.UNKNOWN)
"""Outcomes of calls that may have been executed."""

_AT = PURCHASE.c
# Asked once a second by every worker, so built once.
_IS_DUE = (
    _AT.provider == bindparam("of"),
    _AT.account == bindparam("owner"),
    FOLLOWED,
    _AT.due_at <= bindparam("now"),
)
_DUE = select(_AT.id).where(*_IS_DUE).limit(1)
_WAITED = or_(_AT.status == literal(str(Status.PROCESSING)), _AT.updated_at >= bindparam("since"))
_FREE = (
    select(_AT.id)
    .where(*_IS_DUE, _WAITED)
    .order_by(_AT.due_at)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True, key_share=True)
    .cte("free")
)
_TAKE = (
    update(PURCHASE)
    .where(_AT.id.in_(select(_FREE.c.id)), *_IS_DUE, _WAITED)
    .values(revision=_AT.revision + 1, due_at=bindparam("until"))
    .returning(_AT.id, _AT.revision)
)
_TAKEN = select(PURCHASE).where(among(_AT.id, "ids"), _AT.account == bindparam("owner"), FOLLOWED).order_by(_AT.id)
_TAKEN = _TAKEN.with_for_update(key_share=True)
_LEAVE = update(PURCHASE).where(among(_AT.id, "ids")).values(due_at=bindparam("until"))
_CALLS = select(ATTEMPT.c.outcome, ATTEMPT.c.error_code).where(ATTEMPT.c.purchase_id == bindparam("of"))
_CALLS = _CALLS.order_by(ATTEMPT.c.revision.desc())
NONE_DUE = ~_DUE.exists().correlate(None)
"""No look is due at the account `owner` under the alias `of`, at the time `now`."""


def take_due(
    conn: Connection, provider: str, account: str, watch: Watch, policy: Policy, *, lease: float, limit: int
) -> list[Row]:
    """Take at most *limit* purchases whose next look is due; untaken by their message, they are due again.

    Those in doubt are due only where the wait since their call, or their last look, was watched. *lease* is in seconds.
    Returns rows of id and revision.
    """
    now = watch.now
    since, until = watched(watch, longest_wait(policy)), now + timedelta(seconds=lease)
    values = {"of": provider, "owner": account, "now": now, "since": since, "until": until, "most": limit}
    return [dict(row) for row in conn.execute(_TAKE, values).mappings()]


def begin(conn: Connection, account: str, taken: Sequence[tuple[str, int]], until: datetime) -> list[Row]:
    """Those of the taken purchases that are still at their revision, left alone until *until* from now on.

    Another account than their own would say 'not ours' of every one: they must be of *account*.
    """
    wanted = dict(taken)
    found = conn.execute(_TAKEN, {"ids": list(wanted), "owner": account}).mappings()
    rows = [dict(row) for row in found if row["revision"] == wanted[row["id"]]]
    if rows:
        conn.execute(_LEAVE, {"ids": [row["id"] for row in rows], "until": until})
    return rows


def record_look(conn: Connection, row: Row, look: Look, policy: Policy, watch: Watch) -> Row | None:
    """Write what a look at *row* said. Returns the purchase after, None where it had moved on."""
    now = watch.now
    present = lock(conn, row["id"])
    if present is None:
        return None
    look = believed(conn, row, look, policy, watch)
    if not is_as_it_was(present, row):
        return _late_look(conn, present, look, policy, now, call=write_found(conn, row, look, now))
    if look.kind is LookKind.OWNED:
        write_found(conn, row, look, now)
    waited = watch.seconds_since(present["updated_at"])
    history = _history(conn, present, present["tried_seconds"] + waited)
    if present["status"] == Status.PROCESSING:
        return _record_poll(conn, present, look, history, policy=policy, now=now)
    decision = after_look(look, history, policy)
    waited = 0.0 if look.account or look.waiting else waited
    return settle(conn, present, _with_reason(decision, present), now, tried_seconds=present["tried_seconds"] + waited)


def _record_poll(
    conn: Connection, row: Row, look: Look, history: History, *, policy: Policy, now: datetime
) -> Row | None:
    decision = after_poll(look, history, policy)
    if look.kind is LookKind.REFUSED:
        write_refused(conn, row, look, now)
    if decision.status in (Status.FAILED, Status.HELD):
        decision = bought_before(conn, row) or decision
    return settle(conn, row, decision, now, tried_seconds=history.processing_for)


def _late_look(
    conn: Connection, present: Row, look: Look, policy: Policy, now: datetime, *, call: int | None
) -> Row | None:
    """Evidence wins over what came meanwhile; everything else that an old look says is old.

    *call* is the revision of the call that it is a yes to, as a late answer to that one would be.
    """
    if look.kind not in (LookKind.OWNED, LookKind.PROCESSING):
        return None
    if look.kind is LookKind.PROCESSING and has_ended(present, look.provider_order_id):
        return None
    return take_evidence(conn, present, after_look(look, _history(conn, present), policy), now, call)


def references(conn: Connection, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Our names of the calls for each of these purchases that may have been executed, or were."""
    at = ATTEMPT.c
    called = (at.purchase_id.in_(ids), at.reference.is_not(None), MAY_BE_EXECUTED)
    query = select(at.purchase_id, at.reference).where(*called)
    found: dict[str, tuple[str, ...]] = {}
    for purchase_id, reference in conn.execute(query.order_by(at.revision.desc())):
        found[purchase_id] = (*found.get(purchase_id, ()), reference)
    return found


def needs_owner(look: Look) -> bool:
    """Whether the look failed for the account as a whole."""
    return look.kind is LookKind.UNCLEAR and look.account


def _history(conn: Connection, row: Row, followed: float = 0.0) -> History:
    calls = conn.execute(_CALLS, {"of": row["id"]}).all()
    last = next(iter(calls), None)
    return History(
        attempts=row["attempts"],
        tried_seconds=row["tried_seconds"],
        doubt=row["doubt"],
        looks=row["looks"],
        look_failures=row["look_failures"],
        refused=last is not None and last.outcome == OutcomeKind.REFUSED,
        doubtful=sum(call.outcome in (*IN_DOUBT, *YES) for call in calls[1:]),
        other_number=last is not None and last.error_code == WRONG_NUMBER,
        processing_for=followed,
    )


def _with_reason(decision: Decision, row: Row) -> Decision:
    """Keep the row's reason while the purchase stays in doubt."""
    if decision.status is not Status.UNKNOWN or decision.error is not None:
        return decision
    return Decision(
        status=decision.status,
        delay=decision.delay,
        from_deadline=decision.from_deadline,
        looks=decision.looks,
        look_failures=decision.look_failures,
        error=row["error"],
        error_code=row["error_code"],
    )
