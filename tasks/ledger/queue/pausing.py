"""Pausing a provider: a row in the table, one event, and nothing released meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain, product
from typing import Any

from sqlalchemy import Connection, bindparam, literal, or_, select, update

from schemas.events import EventType, utc_text
from schemas.tables.purchases import PROVIDER
from tasks.ledger.queue import standing as standings
from tasks.ledger.queue.dispatch import ensure_providers
from tasks.ledger.queue.requeue import take_back
from tasks.ledger.queue.standing import PAUSE
from tasks.ledger.rows import Row, emit, other_event
from tasks.policies.accounts import Account
from tasks.policies.pause import Cause, Pause, longer
from tasks.transactions import always

# Asked ten times a second by every worker, so built once.
_STATE = select(PROVIDER).where(PROVIDER.c.provider == bindparam("of"))
_CAUSE = PROVIDER.c.cause == literal(str(Cause.BEHIND))
_BEHIND = select(PROVIDER.c.provider).where(
    or_(_CAUSE, PROVIDER.c.account.in_(select(PROVIDER.c.account).where(_CAUSE)))
)


def state_of(conn: Connection, provider: str) -> Row | None:
    """The provider's own row, whatever stops its account's other aliases; None where it was never used."""
    found = conn.execute(_STATE, {"of": provider}).mappings().first()
    return None if found is None else dict(found)


def behind(conn: Connection) -> set[str]:
    """The aliases whose account a database that went back in time is behind for: what was bought last is not known."""
    return set(conn.execute(_BEHIND).scalars())


def begin_anew(conn: Connection, since: datetime, now: datetime) -> None:
    """Have pauses of a database behind that began before *since* begin *now*: no time before that can be believed."""
    query = select(PROVIDER.c.provider).where(_CAUSE, PROVIDER.c.paused_at < since).order_by(PROVIDER.c.provider)
    for provider in conn.execute(query.with_for_update()).scalars().all():
        _set(conn, provider, now, paused_at=now)


def pause(
    conn: Connection,
    provider: str,
    wanted: Pause,
    now: datetime,
    also: Iterable[str] = (),
    *,
    still: Callable[[Connection], bool] = always,
) -> bool:
    """Pause *provider*, or lengthen the pause whose probe failed. True where this began the pause.

    A database that went back in time begins one of its own, whatever stood: the machine's would have probed, and who
    ended a person's would have lost calls bought again. So does one that went back once more, to a time at which the
    account was stopped for that already: who let it go on meanwhile did not know what is lost now. A person's stands
    beneath it, and neither ends the other. What was released is taken back, with what was under the account's names
    *also*, which this stops too. Nothing where *still*, asked as nobody else can begin or end a pause of it, says no.
    """
    state = _locked(conn, provider, now)
    if not still(conn):
        return False
    if state["cause"] == Cause.BEHIND and wanted.cause is Cause.PERSON:
        _set(conn, provider, now, person_paused_at=state["person_paused_at"] or now, person_reason=wanted.reason)
        return False
    if state["paused_at"] is not None and _stays(state, wanted, now):
        return False
    begins = state["paused_at"] is None or wanted.cause is Cause.BEHIND
    values = {**_values(state, wanted, now, begins=begins), **_beneath(state, wanted)}
    _set(conn, provider, now, **values)
    for name in (provider, *also):
        take_back(conn, name, now, overdue=False)
    if begins:
        _tell(conn, EventType.PROVIDER_PAUSED, {**state, **values}, now)
    return begins


def pass_on(conn: Connection, heirs: Mapping[str, Collection[str]], now: datetime) -> None:
    """Have those who are or may be the account of an alias by now stop for what stopped that, by alias.

    That is a database behind, and a person. What the machine knows of it the next call tells anew.
    """
    query = select(PROVIDER).where(PROVIDER.c.provider.in_({*heirs, *chain(*heirs.values())}))
    rows = conn.execute(query.order_by(PROVIDER.c.provider).with_for_update()).mappings()
    pauses = {row["provider"]: [*_lasting(dict(row))] for row in rows}
    for source in sorted(heirs.keys() & pauses.keys()):
        for heir, one in product(sorted({*heirs[source]} - {source}), pauses[source]):
            pause(conn, heir, one, now)


def resume_former(conn: Connection, account: Account, now: datetime) -> bool:
    """End the pauses of a person that stand at names of *account* that the file has no more: they go for the others.

    True where there was one.
    """
    rows = {row["provider"]: row for row in standings.read(conn, account)}
    names = standings.former(rows.values(), account.aliases)
    theirs = [one for one in names if rows[one]["cause"] == Cause.PERSON or rows[one]["person_paused_at"]]
    ended = [resume(conn, name, now, by_machine=False) for name in theirs]
    return any(ended)


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
    """End a pause; the machine ends only its own, and nobody so that of a database behind. True where this ended it.

    A person's beneath that of a database behind is ended by a person, and does not count: nothing goes on.
    """
    state = _locked(conn, provider, now)
    cause = state["cause"]
    if cause == Cause.BEHIND and not by_machine:
        _set(conn, provider, now, person_paused_at=None, person_reason=None)
    if state["paused_at"] is None or cause == Cause.BEHIND or (by_machine and not Cause(cause).by_machine):
        return False
    _end(conn, state, now)
    return True


def resume_behind(conn: Connection, provider: str, now: datetime, *, by: str, note: str) -> bool:
    """End the pause of a database that went back in time: *by* said so, and *note* why. True where this ended it.

    A person's pause beneath it stands, and is told.
    """
    state = _locked(conn, provider, now)
    if state["paused_at"] is None or state["cause"] != Cause.BEHIND:
        return False
    _end(conn, state, now, by=by, note=note)
    return True


def _end(conn: Connection, state: Row, now: datetime, **said: str) -> None:
    cleared = dict.fromkeys(PAUSE)
    if beneath := state["person_paused_at"]:
        cleared |= {"paused_at": beneath, "reason": state["person_reason"], "cause": str(Cause.PERSON)}
    _set(conn, state["provider"], now, **cleared)
    if beneath:
        _tell(conn, EventType.PROVIDER_PAUSED, {**state, **cleared}, now, **said)
    else:
        _tell(conn, EventType.PROVIDER_RESUMED, state, now, **said)


def _set(conn: Connection, provider: str, now: datetime, **values: Any) -> None:
    conn.execute(update(PROVIDER).where(PROVIDER.c.provider == provider).values(**values, updated_at=now))


def _values(state: Row, wanted: Pause, now: datetime, *, begins: bool) -> Row:
    cooldown = wanted.cooldown if begins or wanted.cooldown is None else longer(state["cooldown"] or wanted.cooldown)
    return {
        "paused_at": max(now, wanted.lost_until or now) if begins else state["paused_at"],
        "reason": wanted.reason,
        "cause": str(wanted.cause),
        "cooldown": cooldown,
        "probe_at": None if cooldown is None else now + timedelta(seconds=cooldown),
    }


def _beneath(state: Row, wanted: Pause) -> Row:
    """A person's pause over which that of a database behind comes, or came before."""
    if wanted.cause is Cause.BEHIND and state["cause"] == Cause.BEHIND:
        return {}
    stands = wanted.cause is Cause.BEHIND and state["cause"] == Cause.PERSON
    return {
        "person_paused_at": state["paused_at"] if stands else None,
        "person_reason": state["reason"] if stands else None,
    }


def _lasting(state: Row) -> Iterator[Pause]:
    """The pauses of a row that end by a word only."""
    if state["cause"] in (Cause.BEHIND, Cause.PERSON):
        yield Pause(cause=Cause(state["cause"]), reason=state["reason"], cooldown=None)
    if state["person_paused_at"] is not None:
        yield Pause(cause=Cause.PERSON, reason=state["person_reason"], cooldown=None)


def _stays(state: Row, wanted: Pause, now: datetime) -> bool:
    """Whether the present pause is the stronger one."""
    if wanted.cause is Cause.BEHIND:
        lost_since = wanted.lost_until is not None and state["paused_at"] < wanted.lost_until
        return bool(state["cause"] == Cause.BEHIND and not lost_since)
    if wanted.cause is Cause.PERSON:
        return False
    return not Cause(state["cause"]).by_machine or _waits(state, now)


def _waits(state: Row, now: datetime) -> bool:
    """Whether the present pause has its probe still before it: late answers of earlier calls change nothing."""
    return state["probe_at"] is not None and state["probe_at"] > now


def _locked(conn: Connection, provider: str, now: datetime) -> Row:
    ensure_providers(conn, [provider], now)
    query = select(PROVIDER).where(PROVIDER.c.provider == provider).with_for_update()
    return dict(conn.execute(query).mappings().one())


def _tell(conn: Connection, kind: EventType, state: Row, now: datetime, **said: str) -> None:
    provider = state["provider"]
    data = {
        "provider": provider,
        "reason": state["reason"],
        "cause": state["cause"],
        "paused_at": utc_text(state["paused_at"]),
        "probe_at": None if state["probe_at"] is None else utc_text(state["probe_at"]),
        **said,
    }
    emit(conn, [other_event(kind, now, data, provider=provider, subject=None)])
