"""Which account each alias is: remembered, and never changed behind the table's back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from schemas.config_errors import ConfigError
from schemas.provider_config import kind_in
from schemas.status import Status
from tasks.accounts.stranded import File, Refusal, homes_in, mend, read_file, refusals
from tasks.ledger import accounts as ledger
from tasks.ledger.accounts import Home, Stranded, Under
from tasks.ledger.dispatch import ensure_providers
from tasks.ledger.rows import Row
from tasks.orders import CHUNK
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

FIRST = str(UUID(int=0))
"""Before every id."""


class AccountChanged(ConfigError):
    """An alias is another account than it was, and would leave purchases of that one behind."""


class AccountElsewhere(ConfigError):
    """Purchases are of an account that the file has under another alias."""


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
    """How many purchases were cancelled, how many are held now, and how many have a call under way yet."""

    cancelled: int = 0
    held: int = 0
    under_way: int = 0


def settle(runtime: Runtime) -> None:
    """Remember which account each configured alias is: all of them, or none.

    Purchases of an alias that is the account it was, which was written in another way formerly, are taken along. So is
    the watermark of an account that was used, and may be one of the file: a database that went back in time knows of no
    purchase that would tell. Raises AccountChanged, before anything is bought, where purchases would be left behind or
    bought again; redis.RedisError where a watermark has to be taken along and Redis is away.
    """
    file = _file(runtime)
    with runtime.database.read() as conn:
        _refuse(refusals(conn, file))
    if not (file.changed or file.gone):
        return
    for home in file.changed:
        if home.former is not None:
            _move_under(runtime, Under(provider=home.provider, accounts=[home.former]), home, Moved())
    for account in file.gone:
        for heir in file.heirs(account):
            runtime.watermark.hand_on(account, heir.account)
    _refuse(runtime.database.run(lambda conn: _remember_all(runtime, conn)))


def tell_stranded(runtime: Runtime) -> None:
    """Log what waits under an alias, or for an account, that no worker buys for."""
    for line in stranded_in_words(runtime):
        log.warning("%s", line)


def stranded(runtime: Runtime) -> list[Stranded]:
    """What waits under an alias that is not configured, or that is another account now."""
    with runtime.database.read() as conn:
        return ledger.stranded(conn, {alias: one.account for alias, one in runtime.providers.items()})


def stranded_in_words(runtime: Runtime) -> list[str]:
    """What is stranded and what to do about it, for people."""
    file = _file(runtime)
    return [f"{_waits(one, file)}: {mend(one, file)}" for one in stranded(runtime)]


def move(runtime: Runtime, source: str, home: Home) -> Moved:
    """Have what stands under the alias *source* belong to *home*. Repeatable at any point.

    What is of that account already goes there by its alias alone, and nothing else with it. Without such, what is of an
    account that the file has no more is written anew, wherever it stands, and its marked calls with it: a database that
    goes back to before that has lost them all the same. Raises AccountElsewhere where all is of accounts that the file
    has under other aliases, and redis.RedisError while Redis is away.
    """
    file = _file(runtime)
    with runtime.database.read() as conn:
        alive, accounts = ledger.alive_under(conn, source), ledger.accounts_under(conn, source)
    theirs = [one for one in accounts if one in home.spellings and (source, one) != (home.provider, home.account)]
    anew = [] if theirs and source != home.provider else _written_anew(file, source, home, accounts)
    if not (theirs or anew):
        _refuse_elsewhere(alive, file, home)
    for account in {*theirs, *anew} - {home.account}:
        runtime.watermark.hand_on(account, home.account)
    done = Moved(apart=sum(one.count for one in alive if _apart(one.account, file, home)))
    _move_under(runtime, Under(provider=source, accounts=theirs), home, done)
    _move_under(runtime, Under(accounts=anew), home, done)
    if anew and not done.left:
        runtime.database.run(lambda conn: ledger.write_anew(conn, anew, home, runtime.now()))
    return done


def leave(runtime: Runtime, alias: str) -> Left:
    """End with the accounts that stand under an alias and that the file has no more, wherever they stand.

    What waits is cancelled, and what may be bought is held. What is bought stays. Where the alias is configured, it is
    remembered as the account that it is now, else forgotten. Repeatable at any point. Raises AccountElsewhere while
    anything there is of an account that the file has under another alias.
    """
    file = _file(runtime)
    home = file.homes.get(alias)
    with runtime.database.read() as conn:
        alive, accounts = ledger.alive_under(conn, alias), ledger.accounts_under(conn, alias)
    ended = [one for one in _stood(file, alias, accounts) if one not in file.aliases]
    if home is not None or not ended:
        _refuse_elsewhere(alive, file, home)
    done = Left()
    after = FIRST
    while rows := _leave_chunk(runtime, Under(accounts=ended), after, done):
        after = rows[-1]["id"]
    runtime.database.run(lambda conn: _remember_left(runtime, conn, alias, ended))
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


def _refuse_elsewhere(alive: Sequence[Stranded], file: File, home: Home | None) -> None:
    """Raise AccountElsewhere for what is alive and of an account of the file that is not *home*'s."""
    own = () if home is None else home.spellings
    found = [one for one in alive if one.account in file.aliases and one.account not in own]
    if found:
        raise AccountElsewhere("\n".join(_elsewhere(one, file) for one in found))


def _elsewhere(one: Stranded, file: File) -> str:
    what = f"{one.count:,} purchases under {one.provider!r} are of {one.account}"
    here = file.homes.get(one.provider)
    if here is not None and one.account in here.spellings:
        return f"{what}, as the file has it: a number belongs to the account that bought it"
    wrong = f"if that is wrong, first take [providers.{file.aliases[one.account]}] out of the file"
    return f"{what}: {mend(one, file)}; {wrong}, or give it another account_id"


def _written_anew(file: File, source: str, home: Home, accounts: Sequence[str]) -> list[str]:
    """What of *accounts*, and of what *source* was, the file has no more, and a person says is *home*."""
    found = _stood(file, source, accounts)
    lost = [one for one in found if one not in file.aliases and kind_in(one) == kind_in(home.account)]
    return lost if source == home.provider else [one for one in lost if file.movable(source, one, home.provider)]


def _stood(file: File, alias: str, accounts: Sequence[str]) -> list[str]:
    was = file.known.get(alias)
    return sorted({*accounts, *([] if was is None else [was.account])})


def _apart(account: str, file: File, home: Home) -> bool:
    return account not in file.aliases and kind_in(account) != kind_in(home.account)


def _move_under(runtime: Runtime, under: Under, home: Home, done: Moved) -> None:
    # The rows last: while any is left there, all of this is done again.
    runtime.database.run(lambda conn: ledger.move_findings(conn, under, home, runtime.now()))
    after = FIRST
    while rows := _move_chunk(runtime, under, home, after, done):
        after = rows[-1]["id"]


def _remember_all(runtime: Runtime, conn: Connection) -> list[Refusal]:
    """Remember where nothing would be left behind, not even what could not be taken along; else what would."""
    homes = {alias: replace(home, former=None) for alias, home in _homes(runtime).items()}
    file = read_file(conn, homes)
    if problems := refusals(conn, file):
        return problems
    _remember(runtime, conn, file.changed)
    ledger.forget(conn, [account for account in file.gone if file.heirs(account)], runtime.now())
    return []


def _remember(runtime: Runtime, conn: Connection, homes: Sequence[Home]) -> None:
    now = runtime.now()
    ensure_providers(conn, [home.provider for home in homes], now)
    for home in homes:
        ledger.remember(conn, home, now)


def _remember_left(runtime: Runtime, conn: Connection, alias: str, accounts: Sequence[str]) -> None:
    ledger.forget(conn, accounts, runtime.now())
    if alias in runtime.providers:
        _remember(runtime, conn, [_homes(runtime)[alias]])


def _move_chunk(runtime: Runtime, under: Under, home: Home, after: str, done: Moved) -> list[Row]:
    rows, moved = runtime.database.run(lambda conn: _move_rows(conn, under, home, after))
    done.count += len(moved)
    done.left += [row for row in rows if row["id"] not in moved]
    return rows


def _move_rows(conn: Connection, under: Under, home: Home, after: str) -> tuple[list[Row], set[str]]:
    rows = ledger.next_chunk(conn, under, after, CHUNK)
    return rows, ledger.move_home(conn, rows, home) if rows else set()


def _leave_rows(conn: Connection, under: Under, after: str, now: datetime) -> tuple[list[Row], list[str]]:
    rows = ledger.next_chunk(conn, under, after, CHUNK)
    return rows, [one["status"] for row in rows if (one := ledger.leave(conn, row, now))]


def _leave_chunk(runtime: Runtime, under: Under, after: str, done: Left) -> list[Row]:
    rows, ended = runtime.database.run(lambda conn: _leave_rows(conn, under, after, runtime.now()))
    done.cancelled += ended.count(Status.CANCELLED)
    done.held += ended.count(Status.HELD)
    done.under_way += sum(row["status"] == Status.PURCHASING for row in rows)
    return rows
