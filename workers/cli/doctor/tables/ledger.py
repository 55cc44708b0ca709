"""What the tables tell: events not sent, purchases that make no progress, and those that wait for a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, false, func, or_, select, text

from schemas.config.file import Config
from schemas.events import utc_text
from schemas.status import UNSETTLED, OrderStatus, Status
from schemas.tables.purchases import EVENT, FOLLOWED, PURCHASE, RUNNING, UNPUBLISHED
from tasks.ledger.waiting import stuck
from tasks.policies.accounts import accounts_of
from tasks.policies.backoff import longest_wait
from tasks.policies.pause import Cause
from tasks.processes import BEAT, WORKER, running
from tasks.reports.queries import provider_states, status_counts
from tasks.retention import growing
from workers.cli.doctor.findings import Finding, fail, ok, warn
from workers.cli.doctor.tables.accounts import examine_accounts
from workers.cli.doctor.tables.pools import examine_pools
from workers.cli.doctor.tables.processes import examine_processes
from workers.cli.doctor.tables.releases import examine_releases
from workers.cli.doctor.tables.spending import examine_spending
from workers.database.clock import DatabaseClock
from workers.database.connections import SqlDatabase
from workers.views.explain import mend_of, tries_again
from workers.views.words import moment

LATE = timedelta(seconds=60)
"""How long after its time something counts as late."""

_WATCHED = (Status.PURCHASING, Status.UNKNOWN)
"""What a worker leaves alone until it has watched the time that it waits for."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the tables held at one moment."""

    waiting: int = 0
    findings: list[Finding] = field(default_factory=list)
    beat_for: timedelta | None = None
    """How long the longest has run, of the beats that run; None where none does."""


def read(url: str, config: Config | None) -> Reading:
    """Look at the tables; without a *config* nothing is said of what it would tell. Raises SQLAlchemyError."""
    database = SqlDatabase(url)
    try:
        now = DatabaseClock(database)()
        with database.read() as conn:
            counts = status_counts(conn)
            held = sum(row["count"] for row in counts if row["status"] == Status.HELD)
            waiting = sum(row["count"] for row in counts if row["status"] in UNSETTLED)
            findings = [_relay(conn, now), _overdue(conn, config, now), _waiting(conn, now), _held(held)]
            findings += [_growing(conn), *_paused(conn, config, now), *examine_releases(conn, now)]
            if config is not None:
                findings += [*examine_pools(conn, list(config.pools), now), *examine_accounts(conn, config, now)]
                findings += examine_spending(conn, config, now)
            findings += examine_processes(conn, config.digest if config else None, now)
            return Reading(waiting=waiting, findings=findings, beat_for=_beat_for(conn, now))
    finally:
        database.close()


def _beat_for(conn: Connection, now: datetime) -> timedelta | None:
    return max((now - one.since for one in running(conn, now) if one.role == BEAT), default=None)


def _relay(conn: Connection, now: datetime) -> Finding:
    query = select(func.count(), func.min(EVENT.c.time)).where(UNPUBLISHED)
    count, oldest = conn.execute(query).one()
    if not count:
        return ok("relay", "every event is published")
    age = now - oldest
    message = f"{count:,} events are not published, the oldest for {age.total_seconds():.0f} s"
    return (
        fail("relay", message, "the workers publish them: start one, or see its log")
        if age > LATE
        else ok("relay", message)
    )


def _overdue(conn: Connection, config: Config | None, now: datetime) -> Finding:
    begun = min((one.since for one in running(conn, now) if one.role == WORKER), default=None)
    at, kept, late, until = PURCHASE.c, 0, 0, now
    # What was called for, or looked at, before any of the workers watched the clock.
    before = false() if begun is None else and_(at.status.in_(_WATCHED), at.updated_at < begun)
    query = select(at.provider, func.count(), func.sum(case((before, 1), else_=0))).group_by(at.provider)
    due = at.due_at <= now - LATE
    for alias, count, waits in conn.execute(query.where(or_(text(RUNNING.text), text(FOLLOWED.text)), due)):
        provider = config.providers.get(alias) if config else None
        over = now if begun is None or provider is None else begun + timedelta(seconds=longest_wait(provider.policy))
        on_purpose = int(waits) if over + LATE > now else 0
        kept, late = kept + on_purpose, late + count - on_purpose
        until = max(until, over) if on_purpose else until
    if late:
        message = f"{late:,} purchases under way or in doubt should have moved on {LATE.total_seconds():.0f} s ago"
        return fail("overdue", message, "the workers' timers move them on: start a worker, or see its log")
    if kept:
        why = "no worker has watched the clock for the distance of a look yet"
        message = f"{kept:,} purchases in doubt wait until {moment(until)}: {why}, or its configuration has changed"
        return warn("overdue", message, "if they still stand then, see the worker's log")
    return ok("overdue", "no purchase stands still")


def _waiting(conn: Connection, now: datetime) -> Finding:
    found = stuck(conn, now)
    if not found:
        return ok("waiting", "no purchase waits for what cannot come")
    first = found[0]
    message = f"{len(found):,} purchases wait for what cannot come, the first is {first['id']}"
    if first["order_id"] is None:
        mend = "it has no time to be due, and looks like a mistake of ours: report it, and set its due_at to any time"
        return fail("waiting", message, mend)
    message += f" of order {first['order_id']}, which is {first['order_status']}"
    if first["order_status"] in (OrderStatus.LOADING, OrderStatus.OPEN):
        return fail("waiting", f"{message} and was to be cancelled", "the workers' sweep does it: start a worker")
    mend = f"dialstock order cancel {first['order_id']} cancels what waits there; then order it anew"
    return fail("waiting", message, mend)


def _held(count: int) -> Finding:
    if not count:
        return ok("held", "no purchase waits for a person")
    return warn("held", f"{count:,} purchases wait for a person", "dialstock purchase list --status held")


def _growing(conn: Connection) -> Finding:
    told = [
        f"{count:,} {table}" + (f" since {utc_text(oldest)[:10]}" if oldest else "")
        for table, count, oldest in growing(conn)
    ]
    return ok("rows", f"what goes some day: {', '.join(told)}")


def _paused(conn: Connection, config: Config | None, now: datetime) -> Iterator[Finding]:
    """Of the configured providers, where these are known: what is left of others the accounts tell."""
    accounts = accounts_of((alias, one.account) for alias, one in config.providers.items()) if config else {}
    found = provider_states(conn, accounts.values())
    states = {one: row for one, row in found.items() if config is None or one in config.providers}
    paused = {alias: row for alias, row in states.items() if row["paused_at"] is not None}
    if not paused:
        yield ok("providers", "none is paused")
    for alias, row in sorted(paused.items()):
        message = f"{alias} is paused since {utc_text(row['paused_at'])[:19]}Z: {row['reason']}"
        resume, sooner = f"dialstock provider resume {alias}", "then"
        if row["probe_at"] is not None:
            message, sooner = f"{message}; {tries_again(row['probe_at'], now)} by itself", "to go on sooner:"
        if row["cause"] == Cause.BEHIND:
            yield fail("providers", message, mend_of(alias, config.providers[alias].kind if config else None))
        elif row["cause"] == Cause.ACCOUNT:
            check = f"see what it says of the token and the account: dialstock provider check {alias}"
            yield fail("providers", message, f"{check}; {sooner} {resume}")
        else:
            yield warn("providers", message, f"mend the cause; {sooner} {resume}")
