"""Which aliases have something due: one query for all of them, so that a thousand that wait for nothing cost nothing.

A timer asks this, and goes on with those that it names. It names each that has something due; one that it names may
have nothing, or no room: that is asked again for the alias alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, TextClause, bindparam, exists, or_, select

from schemas.tables.purchases import FOLLOWED, PROVIDER, PURCHASE, QUEUED, RUNNING
from schemas.tables.releases import OPEN, RELEASE

MANY = 1_000
"""Due releases that are looked through for their aliases; where there are more, each alias is asked."""

_AT = PURCHASE.c


def _due(kept: TextClause) -> Select[Any]:
    """The aliases of what is *kept* and due. One search of the index an alias, however many rows that has."""
    first = select(_AT.provider.label("alias")).where(kept).order_by(_AT.provider).limit(1)
    having = select(first.subquery().c.alias).cte("having", recursive=True)
    after = select(_AT.provider).where(kept, _AT.provider > having.c.alias).order_by(_AT.provider).limit(1)
    having = having.union_all(select(after.scalar_subquery()).where(having.c.alias.is_not(None)))
    due = exists().where(kept, _AT.provider == having.c.alias, _AT.due_at <= bindparam("now"))
    return select(having.c.alias).where(having.c.alias.is_not(None), due)


_STATE = PROVIDER.c
# No other pause of the account is weaker than the alias's own: nothing is released beneath it (`standing.in_force`).
_WAITS = or_(_STATE.probe_at.is_(None), _STATE.probe_at > bindparam("now"))
_PAUSED = select(_STATE.provider).where(_STATE.paused_at.is_not(None), _WAITS)

# Asked again and again by every worker, so built once.
_QUEUED, _FOLLOWED, _RUNNING = _due(QUEUED), _due(FOLLOWED), _due(RUNNING)
# In the order of the index: else a planner whose figures are of a time with many would search the table for one.
ANY_QUEUED = select(_AT.provider).where(QUEUED).order_by(_AT.provider).limit(1)
ANY_RELEASE = select(RELEASE.c.due_at).where(OPEN).order_by(RELEASE.c.due_at).limit(1)
_BOUGHT_OF = select(_AT.provider).where(_AT.id == RELEASE.c.purchase_id).scalar_subquery()
_RELEASES = select(_BOUGHT_OF).where(OPEN, RELEASE.c.due_at <= bindparam("now")).limit(MANY)


def to_buy(conn: Connection, now: datetime) -> set[str]:
    """The aliases with a queued purchase that is due, but those that are paused and have no probe due."""
    found = _aliases(conn, _QUEUED, now)
    return found - _aliases(conn, _PAUSED, now) if found else found


def to_look(conn: Connection, now: datetime) -> set[str]:
    """The aliases with a purchase whose look is due."""
    return _aliases(conn, _FOLLOWED, now)


def overdue(conn: Connection, now: datetime) -> set[str]:
    """The aliases with a purchase that is dispatched or claimed, and past its time."""
    return _aliases(conn, _RUNNING, now)


def to_give_back(conn: Connection, now: datetime) -> set[str] | None:
    """The aliases with a release that is due; None where so many are due that each alias is to be asked."""
    found = conn.execute(_RELEASES, {"now": now}).scalars().all()
    return None if len(found) == MANY else set(found)


def _aliases(conn: Connection, query: Select[Any], now: datetime) -> set[str]:
    return set(conn.execute(query, {"now": now}).scalars())


def later(conn: Connection, table: Table, now: datetime) -> set[str]:
    """The accounts whose next audit, or look at the balance, is not due yet, by the *table* of these."""
    return set(conn.execute(select(table.c.account).where(table.c.due_at > now)).scalars())
