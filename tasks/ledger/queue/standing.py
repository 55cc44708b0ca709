"""How an account's aliases stand, those of the file and former names: what stops the one may stop the others.

A pause stands in an alias's row. That of a database that went back in time is the account's, whichever alias it was
written for. A person's is its alias's own while the file has that; what a name left that the file has no more goes for
the others. Whoever has another file counts by its own: while a rename rolls out, each stops for the other's pause.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, func, or_, select

from schemas.tables.purchases import PROVIDER
from tasks.ledger.among import among
from tasks.ledger.rows import Row
from tasks.policies.accounts import Account
from tasks.policies.pause import Cause

PAUSE = ("paused_at", "reason", "cause", "probe_at", "cooldown", "person_paused_at", "person_reason")
"""The columns of a pause."""

_RANKS = {None: 0, Cause.PERSON: 2, Cause.BEHIND: 3}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """An alias among its account's: its row with the pause that stops it, and all names of the account."""

    state: Row
    names: tuple[str, ...]

    @property
    def paused(self) -> bool:
        """Whether nothing but a probe may be bought."""
        return self.state["paused_at"] is not None

    def stops(self, now: datetime) -> bool:
        """Whether what is no purchase has to wait, too."""
        return stops(self.state, now)


def _of_account(table: FromClause) -> ColumnElement[bool]:
    # The file's own aliases by name, too: one that is used for the first time has no account yet.
    return or_(among(table.c.provider, "aliases"), among(table.c.account, "accounts"))


_ALL = PROVIDER.alias("every")
_COUNT = select(func.count()).select_from(_ALL).where(_of_account(_ALL)).scalar_subquery()
# Asked ten times a second by every worker, so built once.
_READ = select(PROVIDER).where(_of_account(PROVIDER)).order_by(PROVIDER.c.provider)
_LOCK = _READ.add_columns(_COUNT.label("present")).with_for_update(skip_locked=True, of=PROVIDER)


def read(conn: Connection, account: Account) -> list[Row]:
    """The rows of an account's aliases, of the file and former ones, by name."""
    return [dict(row) for row in conn.execute(_READ, _values([account])).mappings()]


def read_all(conn: Connection, accounts: Sequence[Account]) -> dict[str, list[Row]]:
    """The same of several accounts, by the account's name."""
    rows = [dict(row) for row in conn.execute(_READ, _values(accounts)).mappings()]
    its: defaultdict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        its[row["account"]].append(row)
    by_alias = {row["provider"]: row for row in rows}
    found = {}
    for account in accounts:
        own = {alias: by_alias[alias] for alias in account.aliases if alias in by_alias}
        own |= {row["provider"]: row for row in its[account.name]}
        found[account.name] = [own[alias] for alias in sorted(own)]
    return found


def lock(conn: Connection, account: Account) -> list[Row] | None:
    """The same, locked; None while another transaction holds one of them."""
    found = [dict(row) for row in conn.execute(_LOCK, _values([account])).mappings()]
    whole = all(row.pop("present") == len(found) for row in found)
    return found if whole else None


def standing(rows: Sequence[Row], alias: str, account: Account) -> Standing:
    """How *alias* stands by the *rows* of its account."""
    state = in_force(rows, alias, account.aliases) or _fresh(alias)
    return Standing(state=state, names=tuple({*account.aliases, *(row["provider"] for row in rows)}))


def stopped(conn: Connection, alias: str, account: Account, now: datetime) -> bool:
    """Whether what is no purchase of *alias* has to wait."""
    return standing(read(conn, account), alias, account).stops(now)


def unpaused(rows: Sequence[Row], alias: str, account: Account) -> Standing:
    """The same as if nothing stopped it."""
    return replace(standing(rows, alias, account), state=_fresh(alias))


def in_force(rows: Iterable[Row], alias: str, living: Collection[str]) -> Row | None:
    """The row of *alias* with the strongest pause that stops it; None where it was never used, and nothing does.

    *rows* are those of its account, and *living* the aliases of the file.
    """
    found = list(rows)
    own = next((row for row in found if row["provider"] == alias), None)
    stops = [row for row in found if row is not own and stops_all(row, living)]
    if own is None and not stops:
        return None
    strongest = max([*([] if own is None else [own]), *stops], key=_rank)
    return {**(own or strongest), "provider": alias, **{name: strongest[name] for name in PAUSE}}


def stops(row: Mapping[str, Any], now: datetime) -> bool:
    """Whether the pause of *row* stops what buys nothing by itself, too: a machine's does until its probe is due.

    The probe is a purchase, and may never come: what waited for its end would wait for ever where none is queued.
    """
    return row["paused_at"] is not None and (row["probe_at"] is None or bool(row["probe_at"] > now))


def stops_all(row: Row, living: Collection[str]) -> bool:
    """Whether the pause of *row* stops its account's other aliases: the account's own, or one of a former name."""
    return row["cause"] == Cause.BEHIND or (row["cause"] == Cause.PERSON and row["provider"] not in living)


def former(rows: Iterable[Row], living: Collection[str]) -> list[str]:
    """The names among *rows* that the file has no more."""
    return [row["provider"] for row in rows if row["provider"] not in living]


def _fresh(alias: str) -> Row:
    return {"provider": alias, "account": None, **dict.fromkeys(PAUSE)}


def _rank(row: Row) -> int:
    return _RANKS.get(row["cause"], 1)


def _values(accounts: Sequence[Account]) -> Row:
    aliases = [alias for account in accounts for alias in account.aliases]
    return {"aliases": aliases, "accounts": [account.name for account in accounts]}
