"""Which account each alias is: remembered, and never changed behind the table's back."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from schemas.config.errors import ConfigError
from schemas.status import Status
from tasks.accounts.chosen import is_apart, read_stand, to_leave, to_move
from tasks.accounts.stranded import File, Refusal, homes_in, mend, read_file, refusals, waiting
from tasks.ledger import accounts
from tasks.ledger.accounts import Home, Stranded, Under
from tasks.ledger.queue import pausing
from tasks.ledger.queue.dispatch import ensure_providers
from tasks.ledger.releases.stopping import purchases_on_their_way
from tasks.ledger.rows import Row
from tasks.orders import CHUNK
from tasks.releases.stopped_releases import LEFT, keep_all
from tasks.restored_database.go_on import hold_lost
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

FIRST = str(UUID(int=0))
"""Before every id."""


class AccountChanged(ConfigError):
    """An alias is another account than it was, and would leave purchases of that one behind."""


@dataclass(kw_only=True)
class Moved:
    """How many purchases found their home, and those that did not: their number is alive there already.

    *apart* counts those that are alive and never move: of another kind, or the sandbox's where the home is real, or the
    other way round.
    """

    count: int = 0
    left: list[Row] = field(default_factory=list)
    apart: int = 0


@dataclass(kw_only=True)
class Left:
    """How many purchases were cancelled, how many are held now, and how many have a call under way yet.

    `kept` were on their way back, and stand as bought.
    """

    cancelled: int = 0
    held: int = 0
    kept: int = 0
    under_way: int = 0


def settle(runtime: Runtime) -> None:
    """Remember which account each configured alias is: all of them, or none.

    Purchases of an alias that is the account it was, which was written in another way formerly, are taken along. So is
    the watermark of an account that was used, and may be one of the file: a database that went back in time knows of no
    purchase that would tell. Each has the other's: the file may go back in time too. So is the pause of one that went
    back, and a person's. Raises AccountChanged, before
    anything is bought, where purchases would be left behind or bought again; redis.RedisError where a watermark has to
    be taken along and Redis is away.
    """
    with runtime.database.read() as conn:
        file = read_file(conn, _homes(runtime))
        _refuse(refusals(conn, file))
    if not (file.changed or file.gone or file.returned):
        return
    _move_formerly_written(runtime, file.changed)
    for account in [*file.gone, *file.returned]:
        for heir in file.heirs(account):
            _link(runtime, account, heir.account, same=False)
    _refuse(runtime.database.run(lambda conn: _remember_all(runtime, conn)))


def _move_formerly_written(runtime: Runtime, changed: Sequence[Home]) -> None:
    """Take along what stands for an account as it was written formerly: asked at once, for most have nothing there."""
    formers = {home.former for home in changed if home.former is not None}
    with runtime.database.read() as conn:
        there = accounts.standing_for(conn, formers)
    for home in changed:
        if home.former in there:
            _move_under(runtime, Under(provider=home.provider, accounts=[home.former]), home, Moved())


def tell_stranded(runtime: Runtime) -> None:
    """Log what waits under an alias, or for an account, that no worker buys for."""
    for line in stranded_in_words(runtime):
        log.warning("%s", line)


def stranded(runtime: Runtime) -> list[Stranded]:
    """What waits under an alias that is not configured, or that is another account now."""
    with runtime.database.read() as conn:
        return waiting(conn, read_file(conn, _homes(runtime)))


def stranded_in_words(runtime: Runtime) -> list[str]:
    """What is stranded and what to do about it, for people."""
    with runtime.database.read() as conn:
        file = read_file(conn, _homes(runtime))
        found = waiting(conn, file)
    return [f"{_waits(one, file)}: {mend(one, file)}" for one in found]


def move(runtime: Runtime, source: str, home: Home, account: str | None = None) -> Moved:
    """Have what stands under the alias *source* belong to *home*. Repeatable at any point.

    What is of that account already goes there by its alias alone, and nothing else with it. Without such, what is of an
    account that the file has no more is written anew, wherever it stands, and its marked calls with it: a database that
    goes back to before that has lost them all the same. Its pause by that, or by a person, goes along. *account* says
    which; it has to where there are several, and where it was left. Raises AccountUnclear, AccountElsewhere where all
    is of accounts that the file has under other aliases, and redis.RedisError while Redis is away.
    """
    file = _file(runtime)
    with runtime.database.read() as conn:
        stand = read_stand(conn, source)
    theirs, anew = to_move(file, stand, home, account)
    for one in {*theirs, *anew} - {home.account}:
        _link(runtime, one, home.account, same=True)
    done = Moved(apart=sum(one.count for one in stand.alive if account is None and is_apart(one.account, file, home)))
    _move_under(runtime, Under(provider=source, accounts=theirs), home, done)
    _move_under(runtime, Under(accounts=anew), home, done)
    if anew and not done.left:
        heirs = {} if source in file.homes else {source: [home.provider]}
        runtime.database.run(lambda conn: _write_anew(conn, anew, home, heirs, runtime.now()))
    return done


def leave(runtime: Runtime, alias: str, account: str | None = None) -> Left:
    """End with the account that stands under an alias and that the file has no more, wherever it stands.

    *account* says which; it has to where there are several. What waits is cancelled, and what may be bought is held,
    also by calls that the database has lost. What is bought stays, also what was on its way back. That it was left is
    remembered, and no alias is it any more. Repeatable at any point. Raises AccountUnclear, AccountElsewhere while
    anything there is of an account that the file has under another alias, and as the watermark does.
    """
    file = _file(runtime)
    if (home := file.homes.get(alias)) and home.former:
        _move_under(runtime, Under(provider=alias, accounts=[home.former]), home, Moved())
    with runtime.database.read() as conn:
        ended = to_leave(file, read_stand(conn, alias), account)
    done = Left(held=sum(len(hold_lost(runtime, one, alias)) for one in ended))
    after = FIRST
    while rows := _leave_chunk(runtime, Under(accounts=ended), after, done):
        after = rows[-1]["id"]
    done.kept = len(keep_all(runtime, ended, LEFT))
    with runtime.database.read() as conn:
        done.under_way += len(purchases_on_their_way(conn, ended))
    left = {one: _own_of(one, file) for one in ended}
    runtime.database.run(lambda conn: accounts.remember_left(conn, left, runtime.now()))
    return done


def _waits(one: Stranded, file: File) -> str:
    why = "which is another account now" if one.provider in file.homes else "which is not configured"
    return f"{one.count:,} purchases wait under {one.provider!r}, {why} (they are of {one.account})"


def _file(runtime: Runtime) -> File:
    with runtime.database.read() as conn:
        return read_file(conn, _homes(runtime))


def _homes(runtime: Runtime) -> dict[str, Home]:
    written = homes_in(runtime.config)
    return {
        alias: replace(written.get(alias, Home(provider=alias, account=one.account)), account=one.account)
        for alias, one in runtime.providers.items()
    }


def _refuse(problems: Sequence[Refusal]) -> None:
    if problems:
        raise AccountChanged("\n".join(f"{one.what}: {one.mend}" for one in problems))


def _link(runtime: Runtime, former: str, account: str, *, same: bool) -> None:
    """In the database too: a Redis that was emptied is told again from there. It is told first: marks are asked for."""
    runtime.watermark.link(former, account, same=same)
    runtime.database.run(lambda conn: accounts.remember_link(conn, former, account, runtime.now(), same=same))


def _move_under(runtime: Runtime, under: Under, home: Home, done: Moved) -> None:
    # The rows last: while any is left there, all of this is done again.
    runtime.database.run(lambda conn: accounts.move_findings(conn, under, home, runtime.now()))
    after = FIRST
    while rows := _move_chunk(runtime, under, home, after, done):
        after = rows[-1]["id"]


def _write_anew(
    conn: Connection, anew: Sequence[str], home: Home, heirs: Mapping[str, Sequence[str]], now: datetime
) -> None:
    pausing.pass_on(conn, heirs, now)
    accounts.write_anew(conn, anew, home, now)


def _remember_all(runtime: Runtime, conn: Connection) -> list[Refusal]:
    """Remember where nothing would be left behind, not even what could not be taken along; else what would."""
    homes = {alias: replace(home, former=None) for alias, home in _homes(runtime).items()}
    file = read_file(conn, homes)
    if problems := refusals(conn, file):
        return problems
    pausing.pass_on(conn, file.passed_on, runtime.now())
    _remember(runtime, conn, file.changed)
    accounts.forget(conn, [account for account in file.gone if file.heirs(account)], runtime.now())
    accounts.come_back(conn, [*file.aliases, *file.returned])
    return []


def _remember(runtime: Runtime, conn: Connection, homes: Sequence[Home]) -> None:
    now = runtime.now()
    ensure_providers(conn, [home.provider for home in homes], now)
    accounts.remember(conn, homes, now)


def _own_of(account: str, file: File) -> str | None:
    """Who an account that is left is by its kind alone, as far as anybody knows.

    None where the file has it by that: a person has seen it, and says that it is not used any more.
    """
    known = next((one.own for one in file.known.values() if one.account == account and one.own), account)
    own = file.left.get(account, known)
    return None if any(own == home.own for home in file.homes.values()) else own


def _move_chunk(runtime: Runtime, under: Under, home: Home, after: str, done: Moved) -> list[Row]:
    rows, moved = runtime.database.run(lambda conn: _move_rows(conn, under, home, after))
    done.count += len(moved)
    done.left += [row for row in rows if row["id"] not in moved]
    return rows


def _move_rows(conn: Connection, under: Under, home: Home, after: str) -> tuple[list[Row], set[str]]:
    rows = accounts.next_chunk(conn, under, after, CHUNK)
    return rows, accounts.move_home(conn, rows, home) if rows else set()


def _leave_rows(conn: Connection, under: Under, after: str, now: datetime) -> tuple[list[Row], list[str]]:
    rows = accounts.next_chunk(conn, under, after, CHUNK)
    return rows, [one["status"] for row in rows if (one := accounts.leave(conn, row, now))]


def _leave_chunk(runtime: Runtime, under: Under, after: str, done: Left) -> list[Row]:
    rows, ended = runtime.database.run(lambda conn: _leave_rows(conn, under, after, runtime.now()))
    done.cancelled += ended.count(Status.CANCELLED)
    done.held += ended.count(Status.HELD)
    done.under_way += sum(row["status"] == Status.PURCHASING for row in rows)
    return rows
