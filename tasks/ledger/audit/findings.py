"""What an audit found, settled and told: each finding once, however often it is found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from schemas.events import EVENT_OF_FINDING, finding_data
from schemas.money import price_columns
from schemas.outcomes import clip
from schemas.settling import Finding, Verdict
from schemas.status import Status
from schemas.tables.audits import FINDING, OPEN_FINDING
from schemas.tables.purchases import ALIVE, PURCHASE
from tasks.ledger.audit.differences import OPEN, Walks, not_bought
from tasks.ledger.calls.given_back import is_outdated, released_since
from tasks.ledger.calls.outcomes import settle
from tasks.ledger.locking import locked_with_orders
from tasks.ledger.orders.reopen import reopen_orders
from tasks.ledger.resolve import Settler, write_down
from tasks.ledger.rows import Row, emit, insert_new, move, new_id, other_event, tell_status
from tasks.policies.retry import Decision

_MINUTE = "%Y-%m-%d %H:%M"


def adopt(conn: Connection, orphans: Sequence[Finding], settler: Settler, walks: Walks) -> list[Row]:
    """Have a purchase stand for each number that is ours and had none. Returns those that are new.

    A number that somebody asked for at this instant has its purchase already, and one that was given back since *walks*
    is not ours any more: they are left out.
    """
    gone = released_since(conn, walks.account, [one.number for one in orphans], walks.shows_by)
    wanted = sorted((one for one in orphans if one.number not in gone), key=lambda one: one.number)
    made = [stand_in(orphan, walks.account, settler.now) for orphan in wanted]
    insert_new(conn, PURCHASE, made)
    ids = [row["id"] for row in made]
    present = set(conn.execute(select(PURCHASE.c.id).where(PURCHASE.c.id.in_(ids))).scalars())
    rows = [row for row in made if row["id"] in present]
    for row in rows:
        write_down(conn, row, Verdict.ADOPTED, settler)
    tell_status(conn, rows, settler.now)
    return rows


def take_evidence(
    conn: Connection, evidence: Sequence[Finding], settler: Settler, walks: Walks, *, poll_every: float
) -> list[Finding]:
    """Settle the purchases whose number is ours after all, as far as they are open still. Returns which were.

    What *walks* may have shown of another purchase, that was given back, says nothing of a later one. A number that the
    provider still sets up is followed until it is usable: *poll_every* is in seconds.
    """
    by_id = {one.purchase_id: one for one in evidence}
    taken = []
    for row in locked_with_orders(conn, [one.purchase_id for one in evidence if one.purchase_id]):
        finding = _of_now(conn, row, by_id[row["id"]], walks)
        if finding and row["status"] in OPEN and (finding.usable or row["status"] != Status.HELD):
            _take(conn, row, finding, settler, poll_every)
            taken.append(finding)
    reopen_orders(conn, [one.purchase_id for one in taken if one.purchase_id], settler.now)
    return taken


def count_purchased(conn: Connection, account: str, shows_by: datetime) -> int:
    """How many purchases of *account* the provider must show, if they are still ours."""
    at = PURCHASE.c
    bought = (at.account == account, ALIVE, at.status == Status.PURCHASED, at.finished_at < shows_by)
    return int(conn.execute(select(func.count()).select_from(PURCHASE).where(*bought)).scalar_one())


def release_missing(conn: Connection, missing: Sequence[Finding], settler: Settler, shows_by: datetime) -> list[Row]:
    """Mark purchases as released whose number is not ours any more. Returns them as they are then."""
    rows = []
    for row in locked_with_orders(conn, [one.purchase_id for one in missing if one.purchase_id]):
        if row["status"] == Status.PURCHASED and row["finished_at"] < shows_by:
            error = "not among the numbers that the provider shows as ours: lost, or given back there"
            after = move(conn, row, Status.RELEASED, settler.now, error=error, error_code="not_owned")
            if after is not None:
                write_down(conn, after, Verdict.RELEASED, settler)
                rows.append(after)
    reopen_orders(conn, [row["id"] for row in rows], settler.now)
    return rows


def fail_absent(conn: Connection, absent: Sequence[Finding], settler: Settler, walks: Walks) -> list[Finding]:
    """End held purchases whose number is not ours, long after their last call. Returns which were.

    One that a person cancelled is cancelled, so that no wish replaces it; the others fail.
    """
    if walks.settles_by is None:
        return []
    by_id = {one.purchase_id: one for one in absent if one.purchase_id}
    still = select(PURCHASE.c.id).where(PURCHASE.c.id.in_(by_id), *not_bought(walks.settles_by))
    # Locked before they are asked for: a person may be settling one.
    rows = locked_with_orders(conn, by_id)
    wanted = set(conn.execute(still).scalars())
    ended = [row for row in rows if row["id"] in wanted]
    for row in ended:
        _end(conn, row, settler, walks)
    reopen_orders(conn, [row["id"] for row in ended], settler.now)
    return [by_id[row["id"]] for row in ended]


def _end(conn: Connection, row: Row, settler: Settler, walks: Walks) -> None:
    shown = f"{len(walks.last.ids):,} numbers, read twice from {walks.began:{_MINUTE}} UTC on"
    note = f"not in the provider's whole list of {shown}; its last call was over by {row['call_deadline']:{_MINUTE}}"
    error = clip(f"not bought: {note} ({row['error']})")
    to = Status.FAILED if row["cancel_requested_at"] is None else Status.CANCELLED
    after = move(conn, row, to, settler.now, error=error, error_code="not_owned")
    if after is None:
        raise RuntimeError(f"purchase {row['id']} moved while it was locked")
    write_down(conn, after, Verdict.ABSENT, settler, note)


def open_findings(conn: Connection, account: str) -> dict[tuple[str, str], str]:
    """The ids of what was found before and still stands, by kind and number."""
    at = FINDING.c
    query = select(at.id, at.kind, at.number).where(at.account == account, OPEN_FINDING)
    return {(row.kind, row.number): row.id for row in conn.execute(query)}


def tell(
    conn: Connection, findings: Sequence[Finding], *, account: str, alias: str, now: datetime, settled: bool = False
) -> int:
    """Write down findings that do not stand yet, and an event for each. Returns how many are new."""
    made = {new_id(): finding for finding in findings}
    insert_new(conn, FINDING, [_finding_row(key, made[key], account, now, settled=settled) for key in made])
    new = list(conn.execute(select(FINDING.c.id).where(FINDING.c.id.in_(made))).scalars())
    emit(conn, [_event(key, made[key], alias, now) for key in sorted(new)])
    return len(new)


def _event(key: str, finding: Finding, alias: str, now: datetime) -> Row:
    data = {"finding_id": key, **finding_data(finding)}
    return other_event(EVENT_OF_FINDING[finding.kind], now, data, provider=alias, subject=finding.number)


def resolve_findings(conn: Connection, ids: Sequence[str], now: datetime) -> None:
    """Write down that these findings are gone."""
    conn.execute(update(FINDING).where(FINDING.c.id.in_(ids)).values(resolved_at=now))


def settle_charged_twice(
    conn: Connection, twice: Sequence[Finding], account: str, settler: Settler, note: str
) -> list[Finding]:
    """Write down that a person settled with the provider what was charged twice. Returns what is purchased still.

    A finding is kept with the instant of its purchase's resolution, which tells it from one that was only gone.
    """
    by_id = {one.purchase_id: one for one in twice}
    settled = []
    for row in locked_with_orders(conn, [one.purchase_id for one in twice if one.purchase_id]):
        if row["status"] == Status.PURCHASED:
            after = move(conn, row, Status.PURCHASED, settler.now, finished_at=row["finished_at"])
            if after is None:
                raise RuntimeError(f"purchase {row['id']} moved while it was locked")
            write_down(conn, after, Verdict.BOUGHT, settler, f"charged twice: {note}")
            _keep_settled(conn, by_id[row["id"]], account, settler.now)
            settled.append(by_id[row["id"]])
    return settled


def stand_in(orphan: Finding, account: str, now: datetime) -> Row:
    """A new purchase for a number that is ours and has none."""
    return {
        "id": new_id(),
        "order_id": None,
        "number": orphan.number,
        "provider": orphan.provider,
        "account": account,
        "status": Status.PURCHASED,
        "success": True,
        "error": None,
        "error_code": None,
        "already_owned": True,
        "provider_number_id": orphan.provider_number_ids[0] if orphan.provider_number_ids else None,
        "attempts": 0,
        "revision": 0,
        "idempotency_key": None,
        "options": {},
        "metadata": {},
        "created_at": now,
        "updated_at": now,
        "finished_at": now,
        "doubt": False,
        "looks": 0,
        "look_failures": 0,
        "tried_seconds": 0.0,
        "joined": False,
        "pool": None,
        **price_columns(None),
    }


def _take(conn: Connection, row: Row, finding: Finding, settler: Settler, poll_every: float) -> None:
    """Without a doubt behind it, no call of ours can have bought it: it was ours before."""
    decision = Decision(
        status=Status.PURCHASED if finding.usable else Status.PROCESSING,
        delay=poll_every,
        already_owned=not row["doubt"],
        provider_number_id=finding.provider_number_ids[0] if finding.provider_number_ids else None,
    )
    # An order that is followed from now on has all its time from now on.
    followed = {} if finding.usable else {"first_attempt_at": row["first_attempt_at"] or settler.now}
    after = settle(conn, row, decision, settler.now, **followed)
    if after is None:
        raise RuntimeError(f"purchase {row['id']} moved while it was locked")
    write_down(conn, after, Verdict.EVIDENCE, settler)


def _of_now(conn: Connection, row: Row, finding: Finding, walks: Walks) -> Finding | None:
    """What of *finding* is of the purchase as it is now; None where it is all of what was before."""
    if row["created_at"] > walks.began:
        return None
    shown = finding.provider_number_ids or (None,)
    ids = [known for known in shown if not is_outdated(conn, row, known, walks.shows_by)]
    return replace(finding, provider_number_ids=tuple(filter(None, ids))) if ids else None


def _keep_settled(conn: Connection, finding: Finding, account: str, now: datetime) -> None:
    at = FINDING.c
    insert_new(conn, FINDING, [_finding_row(new_id(), finding, account, now, settled=False)])
    seen = {"purchase_id": finding.purchase_id, "provider_number_ids": list(finding.provider_number_ids)}
    conn.execute(
        update(FINDING)
        .where(at.account == account, at.kind == finding.kind, at.number == finding.number, OPEN_FINDING)
        .values(resolved_at=now, **seen)
    )


def _finding_row(key: str, finding: Finding, account: str, now: datetime, *, settled: bool) -> Row:
    return {
        "id": key,
        "account": account,
        "kind": str(finding.kind),
        "number": finding.number,
        "provider": finding.provider,
        "purchase_id": finding.purchase_id,
        "provider_number_ids": list(finding.provider_number_ids),
        "found_at": now,
        "resolved_at": now if settled else None,
    }
