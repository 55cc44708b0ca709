"""Pausing a provider: a row in the table, one event, and nothing released meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, update

from schemas.events import EventType, utc_text
from schemas.tables.purchases import PROVIDER
from tasks.ledger.queue.dispatch import ensure_providers
from tasks.ledger.queue.requeue import take_back
from tasks.ledger.rows import Row, emit, other_event
from tasks.policies.pause import Cause, Pause, longer

# Asked ten times a second by every worker, so built once.
_STATE = select(PROVIDER).where(PROVIDER.c.provider == bindparam("of"))


def state_of(conn: Connection, provider: str) -> Row | None:
    """The provider's state; None where it was never used."""
    found = conn.execute(_STATE, {"of": provider}).mappings().first()
    return None if found is None else dict(found)


def behind(conn: Connection) -> set[str]:
    """The providers that wait because the database went back in time: what was bought there last is not known."""
    return set(conn.execute(select(PROVIDER.c.provider).where(PROVIDER.c.cause == Cause.BEHIND)).scalars())


def pause(conn: Connection, provider: str, wanted: Pause, now: datetime) -> bool:
    """Pause *provider*, or lengthen the pause whose probe failed. True where this began the pause.

    A database that went back in time begins one of its own where the machine's stood: that one would have probed. No
    other takes its place, not a person's either: whoever ended that one would have lost calls bought again.
    """
    state = _locked(conn, provider, now)
    paused = state["paused_at"] is not None
    if paused and _stays(state, wanted, now):
        return False
    begins = not paused or wanted.cause is Cause.BEHIND
    cooldown = wanted.cooldown if begins or wanted.cooldown is None else longer(state["cooldown"] or wanted.cooldown)
    values = {
        "paused_at": now if begins else state["paused_at"],
        "reason": wanted.reason,
        "cause": str(wanted.cause),
        "cooldown": cooldown,
        "probe_at": None if cooldown is None else now + timedelta(seconds=cooldown),
        "updated_at": now,
    }
    conn.execute(update(PROVIDER).where(PROVIDER.c.provider == provider).values(**values))
    take_back(conn, provider, now, overdue=False)
    if begins:
        _tell(conn, EventType.PROVIDER_PAUSED, provider, {**state, **values}, now)
    return begins


def probe_refused(conn: Connection, provider: str, reason: str, now: datetime) -> None:
    """End the machine's pause, for the account works; but not where the same refusal for all numbers was its cause."""
    state = state_of(conn, provider)
    if state is not None and state["cause"] == Cause.REFUSALS:
        probe_failed(conn, provider, reason, now)
    else:
        resume(conn, provider, now, by_machine=True)


def probe_failed(conn: Connection, provider: str, reason: str, now: datetime) -> None:
    """Lengthen the machine's pause whose probe failed; a pause that is over, or a person's, stays as it is."""
    state = _locked(conn, provider, now)
    if state["paused_at"] is None or not Cause(state["cause"]).by_machine:
        return
    wanted = Pause(cause=Cause(state["cause"]), reason=f"the probe failed: {reason}", cooldown=state["cooldown"])
    pause(conn, provider, wanted, now)


def resume(conn: Connection, provider: str, now: datetime, *, by_machine: bool) -> bool:
    """End a pause; the machine ends only its own, and nobody so that of a database behind. True where this ended it."""
    state = _locked(conn, provider, now)
    cause = state["cause"]
    if state["paused_at"] is None or cause == Cause.BEHIND or (by_machine and not Cause(cause).by_machine):
        return False
    _end(conn, state, now)
    return True


def resume_behind(conn: Connection, provider: str, now: datetime, *, by: str, note: str) -> bool:
    """End the pause of a database that went back in time: *by* said so, and *note* why. True where this ended it."""
    state = _locked(conn, provider, now)
    if state["paused_at"] is None or state["cause"] != Cause.BEHIND:
        return False
    _end(conn, state, now, by=by, note=note)
    return True


def _end(conn: Connection, state: Row, now: datetime, **said: str) -> None:
    cleared = {"paused_at": None, "reason": None, "cause": None, "probe_at": None, "cooldown": None}
    provider = state["provider"]
    conn.execute(update(PROVIDER).where(PROVIDER.c.provider == provider).values(**cleared, updated_at=now))
    _tell(conn, EventType.PROVIDER_RESUMED, provider, state, now, **said)


def _stays(state: Row, wanted: Pause, now: datetime) -> bool:
    """Whether the present pause is the stronger one."""
    if wanted.cause is Cause.PERSON:
        return bool(state["cause"] == Cause.BEHIND)
    if not Cause(state["cause"]).by_machine:
        return True
    return wanted.cause is not Cause.BEHIND and _waits(state, now)


def _waits(state: Row, now: datetime) -> bool:
    """Whether the present pause has its probe still before it: late answers of earlier calls change nothing."""
    return state["probe_at"] is not None and state["probe_at"] > now


def _locked(conn: Connection, provider: str, now: datetime) -> Row:
    ensure_providers(conn, [provider], now)
    query = select(PROVIDER).where(PROVIDER.c.provider == provider).with_for_update()
    return dict(conn.execute(query).mappings().one())


def _tell(conn: Connection, kind: EventType, provider: str, state: Row, now: datetime, **said: str) -> None:
    data = {
        "provider": provider,
        "reason": state["reason"],
        "cause": state["cause"],
        "paused_at": utc_text(state["paused_at"]),
        "probe_at": None if state["probe_at"] is None else utc_text(state["probe_at"]),
        **said,
    }
    emit(conn, [other_event(kind, now, data, provider=provider, subject=None)])
