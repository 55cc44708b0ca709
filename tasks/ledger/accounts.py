"""Whose purchases are whose: the account that each alias was, and what stands under another one.

A purchase is bought by its own account only. What an alias that was renamed, taken out or pointed elsewhere leaves
behind waits: nothing releases it and nothing asks about it, until a person says where it belongs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, TextClause, and_, bindparam, delete, exists, func, or_, select, update

from schemas.status import DEAD, Status
from schemas.tables.accounts import LEFT, LINK
from schemas.tables.audits import AUDIT_RUN, FINDING
from schemas.tables.pools import POOL_NUMBER
from schemas.tables.purchases import ALIVE, FOLLOWED, HELD, LINE, PROVIDER, PURCHASE, QUEUED, RUNNING
from schemas.tables.releases import OPEN, RELEASE
from tasks.ledger.calls.outcomes import cancelled_changes
from tasks.ledger.rows import Row, insert_new, move

_AT = PURCHASE.c
_WAITING = (Status.QUEUED, Status.DISPATCHED)
_ON_ITS_WAY_BACK = and_(OPEN, RELEASE.c.purchase_id == _AT.id)
_IN_DOUBT = (Status.UNKNOWN, Status.PROCESSING)
_REMEMBER = (
    update(PROVIDER)
    .where(PROVIDER.c.provider == bindparam("alias"))
    .values(account=bindparam("is_now"), own_account=bindparam("own"), settled=True, updated_at=bindparam("now"))
)
NOBODY = ""
"""Who an alias is that was an account, and is none any more by a newer file: nothing is bought under it."""
_REMEMBERED = select(PROVIDER.c.provider, PROVIDER.c.account, PROVIDER.c.own_account, PROVIDER.c.settled)
_REMEMBERED = _REMEMBERED.where(PROVIDER.c.account != NOBODY)
_LEFT = "its account is not used any more: see there whether it was bought, then settle it"


@dataclass(frozen=True, kw_only=True, order=True)
class Stranded:
    """What stands under *provider* for an *account* that it is not: purchases that wait, or all that are alive.

    *crowded*: purchases of several accounts that the file does not have stand there, so the account has to be named.
    """

    provider: str
    account: str
    count: int
    crowded: bool = False


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where purchases belong: an alias, and the account that it is.

    *own*: who it is by its kind alone, whatever `account_id` calls it; None where that is not known. *former*: how its
    account was written formerly; no other account is meant by it. *settled*: whether nothing of another account is left
    to be asked for under the alias; one that is remembered as its account before that is not known as it yet.
    """

    provider: str
    account: str
    own: str | None = None
    former: str | None = field(default=None, compare=False)
    settled: bool = True

    @property
    def spellings(self) -> tuple[str, ...]:
        """Its account in every way in which a purchase may have it."""
        return (self.account,) if self.former is None else (self.account, self.former)


@dataclass(frozen=True, kw_only=True)
class Under:
    """What stands for any of *accounts*, under the alias *provider* or, without one, under any."""

    accounts: Sequence[str]
    provider: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same for a query."""
        found = [_AT.account.in_(self.accounts)]
        return found if self.provider is None else [*found, _AT.provider == self.provider]


def remembered(conn: Connection) -> dict[str, Home]:
    """Who each alias was when it was used last, where that was written down and is not forgotten."""
    found = conn.execute(_REMEMBERED)
    return {
        row.provider: Home(provider=row.provider, account=row.account, own=row.own_account, settled=row.settled)
        for row in found
    }


def remember(conn: Connection, homes: Sequence[Home], now: datetime) -> None:
    """Write down which account each alias is, with nothing left to be asked for; its row is there already."""
    if homes:
        rows = [{"alias": home.provider, "is_now": home.account, "own": home.own, "now": now} for home in homes]
        conn.execute(_REMEMBER, rows)


def standing_for(conn: Connection, accounts: Collection[str]) -> set[str]:
    """Those of *accounts* that a purchase, a finding or an audit is of."""
    found: set[str] = set()
    for table in (PURCHASE, FINDING, AUDIT_RUN) if accounts else ():
        found.update(conn.execute(select(table.c.account).where(table.c.account.in_(accounts)).distinct()).scalars())
    return found


def alive_astray(
    conn: Connection, homes: Sequence[Home], accounts: Sequence[str], but: Collection[str] = ()
) -> list[Stranded]:
    """What is alive under the alias of each of *homes* for another account, and for *accounts*, by whichever alias.

    Nothing of the accounts *but*.
    """
    if not (homes or accounts):
        return []
    own = {home.provider: home.account for home in homes}
    where = or_(_AT.account.in_(accounts), _AT.provider.in_([*own]))
    found = _counted(conn, ALIVE, and_(_AT.account.not_in([*but]), where))
    return [one for one in found if one.account in accounts or own[one.provider] != one.account]


def alive_under(conn: Connection, alias: str) -> list[Stranded]:
    """What is alive under an alias, for each account: bought, or on its way."""
    return _counted(conn, ALIVE, _AT.provider == alias)


def mark_crowded(conn: Connection, found: Sequence[Stranded], aside: Collection[str]) -> list[Stranded]:
    """The same, with those marked whose alias has purchases of several accounts, those *aside* not counted."""
    if not found:
        return []
    where = and_(_AT.provider.in_([one.provider for one in found]), _AT.account.not_in([*aside]))
    alive = [one.provider for one in _counted(conn, ALIVE, where)]
    return [replace(one, crowded=alive.count(one.provider) > 1) for one in found]


def forget(conn: Connection, accounts: Sequence[str], now: datetime) -> None:
    """Forget accounts, whichever alias was one of them.

    That it is none any more is not forgotten: a process with an older file has that alias yet.
    """
    values = {"account": NOBODY, "own_account": None, "updated_at": now}
    conn.execute(update(PROVIDER).where(PROVIDER.c.account.in_(accounts)).values(**values))


def left(conn: Connection) -> dict[str, str | None]:
    """The accounts that were left, and who each was by its kind alone."""
    return {row.account: row.own_account for row in conn.execute(select(LEFT.c.account, LEFT.c.own_account))}


def remember_left(conn: Connection, accounts: Mapping[str, str | None], now: datetime) -> None:
    """Remember accounts as left, and who each is by its kind alone; no alias is one of them any more."""
    forget(conn, [*accounts], now)
    come_back(conn, accounts)
    rows = [{"account": account, "own_account": own, "left_at": now} for account, own in accounts.items()]
    insert_new(conn, LEFT, rows)


def come_back(conn: Connection, accounts: Iterable[str]) -> None:
    """Accounts are used again, or settled under another name: they are not left any more."""
    conn.execute(delete(LEFT).where(LEFT.c.account.in_([*accounts])))


def links(conn: Connection) -> list[tuple[str, str, bool]]:
    """Which names answer for the marked calls of each other, and whether a person said that they are one account."""
    return [(row.former, row.account, row.same) for row in conn.execute(select(LINK))]


def remember_link(conn: Connection, former: str, account: str, now: datetime, *, same: bool) -> None:
    """Remember one more of these."""
    insert_new(conn, LINK, [{"former": former, "account": account, "same": same, "linked_at": now}])


def write_anew(conn: Connection, accounts: Sequence[str], home: Home, now: datetime) -> None:
    """Remember whoever was one of *accounts* by the name that it has now; what else stands there is to be settled."""
    come_back(conn, accounts)
    values = {"account": home.account, "own_account": home.own, "settled": False, "updated_at": now}
    conn.execute(update(PROVIDER).where(PROVIDER.c.account.in_(accounts)).values(**values))


def stranded(conn: Connection, configured: Mapping[str, str]) -> list[Stranded]:
    """What waits, to be bought or given back, under an alias that is not configured, or is another account now.

    *configured* maps aliases to accounts. What is held waits for a person, whichever account it is of.
    """
    found: dict[tuple[str, str], int] = {}
    for waiting in (QUEUED, RUNNING, FOLLOWED, _ON_ITS_WAY_BACK):
        # Compared here: a thousand pairs are no expression that a database takes.
        for one in _counted(conn, waiting):
            if configured.get(one.provider) != one.account:
                found[one.provider, one.account] = found.get((one.provider, one.account), 0) + one.count
    return sorted(Stranded(provider=p, account=a, count=count) for (p, a), count in found.items())


def held_under_others(conn: Connection, aliases: Iterable[str]) -> list[Stranded]:
    """What is held under aliases that are not among these."""
    return _counted(conn, HELD, _AT.provider.not_in(list(aliases)))


def held_under(conn: Connection, alias: str) -> list[Stranded]:
    """What is held under an alias, for each account."""
    return _counted(conn, HELD, _AT.provider == alias)


def next_chunk(conn: Connection, under: Under, after: str, limit: int) -> list[Row]:
    """The next purchases that stand there, by id and locked."""
    query = select(PURCHASE).where(_AT.id > after, *under.conditions())
    return [dict(row) for row in conn.execute(query.order_by(_AT.id).limit(limit).with_for_update()).mappings()]


def accounts_under(conn: Connection, alias: str) -> list[str]:
    """The accounts that purchases stand under an alias for."""
    return sorted(conn.execute(select(_AT.account).where(_AT.provider == alias).distinct()).scalars())


def move_home(conn: Connection, rows: Sequence[Row], home: Home) -> set[str]:
    """Have purchases belong to *home*, with their lines and places. No revision: a call under way keeps its claim.

    Returns the ids of those that moved; a number that is alive there already stays where it is.
    """
    twin = PURCHASE.alias("twin").c
    alive_there = exists().where(
        twin.account == home.account, twin.number == _AT.number, twin.id != _AT.id, twin.status.not_in(DEAD)
    )
    # Of several that are alive with one number the first: the others find it there.
    alive = {row["number"]: row["id"] for row in reversed(rows) if row["status"] not in DEAD}
    ids = [*alive.values(), *(row["id"] for row in rows if row["status"] in DEAD)]
    moved = conn.execute(
        update(PURCHASE)
        .where(_AT.id.in_(ids), or_(_AT.account == home.account, _AT.status.in_(DEAD), ~alive_there))
        .values(provider=home.provider, account=home.account)
        .returning(_AT.id)
    )
    found = set(moved.scalars())
    conn.execute(update(LINE).where(LINE.c.purchase_id.in_(found)).values(provider=home.provider))
    conn.execute(update(POOL_NUMBER).where(POOL_NUMBER.c.purchase_id.in_(found)).values(provider=home.provider))
    return found


def move_findings(conn: Connection, under: Under, home: Home, now: datetime) -> None:
    """Have findings belong to *home*; of an account that is written anew, those that are open are found again there."""
    at = FINDING.c
    where = [at.account.in_(under.accounts)] + ([] if under.provider is None else [at.provider == under.provider])
    anew = at.account != home.account
    conn.execute(update(FINDING).where(*where, anew, at.resolved_at.is_(None)).values(resolved_at=now))
    conn.execute(update(FINDING).where(*where).values(account=home.account, provider=home.provider))
    run = AUDIT_RUN.c
    conn.execute(delete(AUDIT_RUN).where(run.account.in_(under.accounts), run.account != home.account))


def leave(conn: Connection, row: Row, now: datetime) -> Row | None:
    """End with a purchase whose account is not used any more: what waits is cancelled, what may be bought is held.

    Returns it as it is then; None where there is nothing to end, or its call is under way.
    """
    if row["status"] in _WAITING:
        to, changes = cancelled_changes(row)
        return move(conn, row, to, now, cancel_requested_at=now, **changes)
    if row["status"] in _IN_DOUBT:
        return move(conn, row, Status.HELD, now, error=_LEFT, error_code="account_left")
    return None


def _counted(conn: Connection, kept: TextClause | ColumnElement[bool], *where: ColumnElement[bool]) -> list[Stranded]:
    query = select(_AT.provider, _AT.account, func.count().label("purchases")).where(kept, *where)
    found = conn.execute(query.group_by(_AT.provider, _AT.account))
    return sorted(Stranded(provider=row.provider, account=row.account, count=row.purchases) for row in found)
