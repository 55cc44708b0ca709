"""What the table says against what a provider says it sold us: the differences between the two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, TextClause, and_, exists, func, or_, select

from schemas.outcomes import WRONG_NUMBER, OutcomeKind, OwnedNumber
from schemas.settling import Finding, FindingKind
from schemas.status import DEAD, Status
from schemas.tables.audits import FINDING
from schemas.tables.purchases import ALIVE, ATTEMPT, HELD, PROVIDER, PURCHASE, RESOLUTION
from tasks.chunks import chunks
from tasks.ledger.rows import Read
from tasks.policies.pause import Cause
from tasks.policies.retry import NOT_BOUGHT

OPEN = (Status.QUEUED, Status.DISPATCHED, Status.UNKNOWN, Status.HELD)
"""Statuses that a number's being ours settles. A call under way, or an accepted order, settles itself."""

_YES = (OutcomeKind.PURCHASED, OutcomeKind.PROCESSING)
_CHUNK = 500

STEP = 1000
"""Purchases that one transaction reads."""


@dataclass
class Shown:
    """What one walk through a provider's list showed: about 300 bytes a number.

    `ids` has the provider's id of each number, `again` the further ids of those that stand there more than once.
    """

    ids: dict[str, str] = field(default_factory=dict)
    again: dict[str, set[str]] = field(default_factory=dict)
    unusable: set[str] = field(default_factory=set)

    def add(self, owned: OwnedNumber) -> None:
        """Take one entry. The same entry twice is a list that grew while it was walked, and no second number."""
        known = self.ids.setdefault(owned.number, owned.provider_number_id)
        if owned.provider_number_id not in ("", known):
            self.again.setdefault(owned.number, set()).add(owned.provider_number_id)
        if not owned.usable:
            self.unusable.add(owned.number)

    def ids_of(self, number: str) -> tuple[str, ...]:
        """All ids under which *number* stands there."""
        first = self.ids.get(number, "")
        return tuple(known for known in (first, *sorted(self.again.get(number, ()))) if known)


@dataclass(frozen=True, kw_only=True)
class Walks:
    """What the provider showed. `began` is when the first walk began; all that was bought before `shows_by` is shown,
    which is ALWAYS where the clock was set so shortly before that dates tell nothing.

    A number is missing, or absent, only where no walk showed it, and ours only where the last one did. What is held is
    absent only where its last call was over by `settles_by`; None where that is a person's to say. `clock_set_at` is
    when this process noticed last that the clock was set that all of these go by.
    """

    provider: str
    account: str
    began: datetime
    shows_by: datetime
    last: Shown
    earlier: Shown = field(default_factory=Shown)
    settles_by: datetime | None = None
    clock_set_at: datetime | None = None

    def showed(self, number: str) -> bool:
        """Whether any walk showed *number*."""
        return number in self.last.ids or number in self.earlier.ids


def compare(read: Read, walks: Walks) -> list[Finding]:
    """Every difference, sorted. The table is read after the walks: what was bought meanwhile is none.

    It is read in steps. They need no common moment: a purchase is judged by its own row, and a number that none seemed
    to stand for is looked for once more, so that what comes to life meanwhile is found.
    """
    unknown = set(walks.last.ids)
    findings: list[Finding] = []
    twice: dict[str, Any] = {}
    for row in alive(read, walks.account):
        unknown.discard(row.number)
        if row.number in walks.last.again:
            twice[row.number] = row
        if kind := _kind(row, walks):
            findings.append(_finding(kind, row, walks))
    findings.extend(_orphans(read, sorted(unknown), walks))
    with read() as conn:
        findings.extend(_finding(FindingKind.ABSENT, row, walks) for row in _absent(conn, walks))
        findings.extend(_unsettled(conn, _charged_twice(conn, twice, walks), walks.account))
    return sorted(findings, key=lambda finding: finding.key)


def taken_in(conn: Connection, walks: Walks, numbers: Iterable[str]) -> bool:
    """Whether a purchase stands, as settled, for each of *numbers* that the last walk shows."""
    for chunk in chunks([one for one in numbers if one in walks.last.ids], _CHUNK):
        unknown = set(chunk)
        for row in alive(lambda: nullcontext(conn), walks.account, PURCHASE.c.number.in_(chunk)):
            unknown.discard(row.number)
            if _kind(row, walks):
                return False
        if any(_orphans(lambda: nullcontext(conn), sorted(unknown), walks)):
            return False
    return True


def alive(read: Read, account: str, *which: ColumnElement[bool]) -> Iterator[Any]:
    """The purchases of *account* that stand, by their numbers, of each one at most; those that *which* tells."""
    at = PURCHASE.c
    columns = at.id, at.number, at.provider, at.status, at.provider_number_id, at.finished_at
    last = ""
    while True:
        here = (at.account == account, ALIVE, at.number > last, *which)
        query = select(*columns).where(*here).order_by(at.number).limit(STEP)
        with read() as conn:
            rows = conn.execute(query).all()
        yield from rows
        if len(rows) < STEP:
            return
        last = rows[-1].number


def _kind(row: Any, walks: Walks) -> FindingKind | None:
    shown = row.number in walks.last.ids
    if shown and row.status in OPEN:
        # A held order that the provider still sets up would only be held again.
        waits = row.status == Status.HELD and row.number in walks.last.unusable
        return None if waits else FindingKind.EVIDENCE
    gone = row.status == Status.PURCHASED and not walks.showed(row.number)
    return FindingKind.MISSING if gone and row.finished_at < walks.shows_by else None


def _absent(conn: Connection, walks: Walks) -> Iterator[Any]:
    if walks.settles_by is None:
        return
    at = PURCHASE.c
    query = select(at.id, at.number, at.provider, at.status, at.provider_number_id).where(
        at.account == walks.account, *not_bought(walks.settles_by)
    )
    yield from (row for row in conn.execute(query) if not walks.showed(row.number))


def not_bought(settles_by: datetime) -> tuple[ColumnElement[bool] | TextClause, ...]:
    """Held purchases of which nothing says that they were bought: every look said no, or none could be had.

    No call of theirs was executed as far as the provider said, nor answered with another number, no order of theirs was
    taken, and no person is in the way; their last call was over by *settles_by*, and the database has lost none since.
    """
    at, call = PURCHASE.c, ATTEMPT.c
    sold = or_(call.outcome.in_(_YES), call.error_code == WRONG_NUMBER)
    executed = exists().where(call.purchase_id == at.id, sold)
    its = or_(PROVIDER.c.provider == at.provider, PROVIDER.c.account == at.account)
    behind = exists().where(its, PROVIDER.c.cause == Cause.BEHIND)
    nothing_said = (at.provider_number_id.is_(None), at.error_code.in_(NOT_BOUGHT), ~executed, ~behind)
    return (HELD, at.call_deadline <= settles_by, *nothing_said)


def _finding(kind: FindingKind, row: Any, walks: Walks) -> Finding:
    known = (row.provider_number_id,) if row.provider_number_id else ()
    return Finding(
        kind=kind,
        number=row.number,
        provider=row.provider,
        purchase_id=row.id,
        status=row.status,
        provider_number_ids=walks.last.ids_of(row.number) or known,
        usable=row.number not in walks.last.unusable,
    )


def _orphans(read: Read, unknown: Sequence[str], walks: Walks) -> Iterator[Finding]:
    """Numbers that no purchase stands for. One that ended during the walks was shown as it was before: leave it.

    So is one that was given back so shortly before them that it may be shown still.
    """
    at = PURCHASE.c
    query = select(at.id, at.number, at.provider, at.status, at.finished_at).where(at.account == walks.account)
    for chunk in chunks(unknown, _CHUNK):
        with read() as conn:
            rows = conn.execute(query.where(at.number.in_(chunk)).order_by(at.id)).all()
        ended = {row.number: row for row in rows if row.status in DEAD}
        stands = {row.number for row in rows if row.status not in DEAD or row.finished_at >= _over_by(row, walks)}
        for number in chunk:
            if number not in stands:
                yield _orphan(number, ended.get(number), walks)


def _over_by(row: Any, walks: Walks) -> datetime:
    return walks.shows_by if row.status == Status.RELEASED else walks.began


def _orphan(number: str, ended: Any, walks: Walks) -> Finding:
    return Finding(
        kind=FindingKind.ORPHAN,
        number=number,
        provider=walks.provider,
        purchase_id=None if ended is None else ended.id,
        status=None if ended is None else ended.status,
        provider_number_ids=walks.last.ids_of(number),
        usable=number not in walks.last.unusable,
    )


def _charged_twice(conn: Connection, twice: dict[str, Any], walks: Walks) -> Iterator[Finding]:
    told = set()
    for row, ids in _two_yeses(conn, walks.account):
        shown = set(walks.last.ids_of(row.number))
        # Of two that have ids of their own, one was given back.
        if len(ids) > 1 and len(shown.intersection(ids)) < 2:
            continue
        told.add(row.number)
        yield Finding(
            kind=FindingKind.CHARGED_TWICE,
            number=row.number,
            provider=row.provider,
            purchase_id=row.id,
            status=row.status,
            provider_number_ids=tuple(sorted(shown.union(ids))),
        )
    yield from (_shown_twice(number, twice.get(number), walks) for number in sorted(walks.last.again.keys() - told))


def _shown_twice(number: str, row: Any, walks: Walks) -> Finding:
    """*row* is its purchase, if it has one."""
    if row is not None:
        return _finding(FindingKind.CHARGED_TWICE, row, walks)
    return Finding(
        kind=FindingKind.CHARGED_TWICE,
        number=number,
        provider=walks.provider,
        provider_number_ids=walks.last.ids_of(number),
    )


def _unsettled(conn: Connection, twice: Iterable[Finding], account: str) -> Iterator[Finding]:
    """Those that no person has settled: with another id, or another call that was executed, one comes back."""
    at, said, call = FINDING.c, RESOLUTION.c, ATTEMPT.c
    later = exists().where(call.purchase_id == at.purchase_id, call.outcome.in_(_YES), call.ended_at > at.resolved_at)
    by_person = (
        select(at.purchase_id, at.provider_number_ids)
        .join(RESOLUTION, and_(said.purchase_id == at.purchase_id, said.at == at.resolved_at))
        .where(at.account == account, at.kind == FindingKind.CHARGED_TWICE, ~later)
    )
    settled: dict[str | None, set[str]] = {}
    for row in conn.execute(by_person):
        settled.setdefault(row.purchase_id, set()).update(row.provider_number_ids)
    for one in twice:
        if one.purchase_id not in settled or not settled[one.purchase_id].issuperset(one.provider_number_ids):
            yield one


def _two_yeses(conn: Connection, account: str) -> Iterator[tuple[Any, set[str]]]:
    """The standing purchases of which two calls were executed, and the ids that the provider gave them."""
    at, call = PURCHASE.c, ATTEMPT.c
    several = (
        select(call.purchase_id)
        .join(PURCHASE, at.id == call.purchase_id)
        .where(at.account == account, ALIVE, call.outcome.in_(_YES))
        .group_by(call.purchase_id)
        .having(func.count() > 1)
    )
    query = (
        select(at.id, at.number, at.provider, at.status, call.provider_number_id)
        .join(ATTEMPT, at.id == call.purchase_id)
        .where(at.id.in_(several), call.outcome.in_(_YES))
    )
    found: dict[str, tuple[Any, set[str]]] = {}
    for row in conn.execute(query):
        ids = found.setdefault(row.id, (row, set()))[1]
        if row.provider_number_id:
            ids.add(row.provider_number_id)
    yield from (found[key] for key in sorted(found))
