"""Which account each alias is: remembered, and never changed behind the table's back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from schemas.config_errors import ConfigError
from schemas.provider_config import is_tried_out
from schemas.status import Status
from tasks.ledger import accounts as ledger
from tasks.ledger.accounts import Home, Stranded, Under
from tasks.ledger.dispatch import ensure_providers
from tasks.ledger.rows import Row
from tasks.orders import CHUNK
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

APART = "the sandbox and a real account share no purchases"

FIRST = str(UUID(int=0))
"""Before every id."""


class AccountChanged(ConfigError):
    """An alias is another account than it was, and would leave purchases of that one behind."""


@dataclass(kw_only=True)
class Moved:
    """How many purchases found their home, and those that did not: their number is alive there already.

    *apart* counts those that are alive and never move: the sandbox's, where the home is real, and the other way round.
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


def settle(runtime: Runtime, aliases: Collection[str] | None = None) -> None:
    """Remember which account each configured alias is, or each of *aliases*.

    Purchases of an alias that is the account it was, which was written in another way formerly, are taken along.
    Raises AccountChanged, before anything is bought, for each alias that would leave purchases of another behind: it is
    another account now, or may be one that is gone from the file, by a new name under which all is bought again.
    """
    with runtime.database.read() as conn:
        known = ledger.remembered(conn)
    wanted = [_home(runtime, alias) for alias in sorted(aliases or runtime.providers)]
    changed = [home for home in wanted if known.get(home.provider) != home]
    problems = [*_renamed(runtime, known, wanted)]
    problems += [problem for one in changed if (problem := _settle(runtime, one))] if not problems else []
    if problems:
        raise AccountChanged("\n".join(problems))


def tell_stranded(runtime: Runtime) -> None:
    """Log what waits under an alias, or for an account, that no worker buys for."""
    for one in stranded(runtime):
        log.warning("%s", in_words(one, runtime))


def stranded(runtime: Runtime) -> list[Stranded]:
    """What waits under an alias that is not configured, or that is another account now."""
    with runtime.database.read() as conn:
        return ledger.stranded(conn, {alias: one.account for alias, one in runtime.providers.items()})


def in_words(one: Stranded, runtime: Runtime) -> str:
    """What is stranded, for people; `mend` says what to do."""
    configured = one.provider in runtime.providers
    why = "which is another account now" if configured else "which is not configured"
    return f"{one.count:,} purchases wait under {one.provider!r}, {why} (they are of {one.account})"


def mend(one: Stranded, account: str | None = None) -> str:
    """What a person can do about purchases under an alias that are not its own; *account* is what it is, if any."""
    if account is not None and is_tried_out(account) and not is_tried_out(one.account):
        return f"{APART}, so try things out with another DIALSTOCK_HOME or DATABASE_URL"
    if is_tried_out(one.account):
        leave = f"or end with what was tried out: dialstock provider leave {one.provider}"
        return f"{APART}: name another DIALSTOCK_HOME or DATABASE_URL, {leave}"
    return (
        f"where it is one account, renamed or written anew: dialstock provider move {one.provider} "
        f"{'ALIAS' if account is None else one.provider}; "
        f"where that account is not used any more: dialstock provider leave {one.provider}"
    )


def move(runtime: Runtime, under: Under, home: Home) -> Moved:
    """Have what stands *under* an alias belong to *home*. Repeatable at any point.

    What was tried out at the sandbox never moves to a real account, nor what is real to the sandbox.
    """
    done = Moved()
    if under.of is None:
        under = replace(under, tried_out=is_tried_out(home.account))
    after, former = FIRST, set()
    while rows := _move_chunk(runtime, under, home, after, done):
        after = rows[-1]["id"]
        former |= {row["account"] for row in rows} - {home.account}
    for account in former:
        runtime.database.run(lambda conn, account=account: ledger.move_findings(conn, account, home, runtime.now()))  # type: ignore[misc]
    with runtime.database.read() as conn:
        done.apart = ledger.alive_apart(conn, under)
    return done


def move_marks(runtime: Runtime, under: Under, home: Home) -> None:
    """Have *home* answer for the calls marked for what stands *under* an alias, before that is moved there.

    A database that goes back to before the move has lost them all the same, and nobody looks at an account that no
    alias is any more. Raises redis.RedisError while Redis is away.
    """
    with runtime.database.read() as conn:
        was = ledger.remembered(conn).get(under.provider)
        former = {*ledger.accounts_under(conn, under), *([] if was is None else [was.account])}
    for account in former - {home.account, *runtime.accounts}:
        if is_tried_out(account) == is_tried_out(home.account):
            runtime.watermark.hand_on(account, home.account)


def leave(runtime: Runtime, under: Under) -> Left:
    """End with what stands *under* an alias: cancel what waits, hold what may be bought. What is bought stays.

    Where the alias is configured, it is remembered as the account that it is now, else forgotten. Repeatable at any
    point.
    """
    done = Left()
    after = FIRST
    while rows := _leave_chunk(runtime, under, after, done):
        after = rows[-1]["id"]
    if under.provider in runtime.providers:
        home = _home(runtime, under.provider)
        runtime.database.run(lambda conn: _remember(conn, home, runtime.now()))
    else:
        runtime.database.run(lambda conn: ledger.forget(conn, under.provider, runtime.now()))
    return done


def _home(runtime: Runtime, alias: str) -> Home:
    provider = runtime.config.providers.get(alias)
    own = None if provider is None else provider.own_account
    return Home(provider=alias, account=runtime.providers[alias].account, own=own)


def _renamed(runtime: Runtime, known: Mapping[str, Home], wanted: Sequence[Home]) -> Iterator[str]:
    """An alias beside one of its kind that is gone with purchases, where nothing tells that they are two accounts.

    However well it is known: who goes back to a former name finds it remembered.
    """
    gone = [
        one for alias, one in known.items() if alias not in runtime.providers and one.account not in runtime.accounts
    ]
    perhaps = [(new, one) for new in wanted for one in gone if _may_be_one(one, new)]
    if not perhaps:
        return
    with runtime.database.read() as conn:
        alive = {one.provider: one for one in ledger.alive_under(conn, [*{one for _, one in perhaps}])}
    for new, left in ((new, alive[one.provider]) for new, one in perhaps if one.provider in alive):
        where, file = ("in the file", "it") if new.provider in known else ("new", "the file")
        what = f"[providers.{new.provider}] is {where}, and {left.provider!r} of the same kind is gone from {file}"
        mends = mend(left).replace("ALIAS", new.provider)
        yield f"{what} with {left.count:,} purchases, which it would buy again: {mends}"


def _may_be_one(gone: Home, new: Home) -> bool:
    """Whether nothing tells that two accounts of one kind are two.

    What the kind itself says does, whatever `account_id` calls them; where it says nothing, `account_id` of both does.
    """
    (kind, _, identity), (same, _, its) = gone.account.partition("|"), new.account.partition("|")
    if kind != same:
        return False
    if new.own is None:
        return identity.startswith("@") or its.startswith("@")
    return gone.own is None or gone.own == new.own


def _settle(runtime: Runtime, home: Home) -> str | None:
    provider = runtime.config.providers.get(home.provider)
    if provider is not None:
        move(runtime, Under(provider=home.provider, of=provider.former_account), home)
    elsewhere = runtime.database.run(lambda conn: _remember_alone(conn, home, runtime.now()))
    return "\n".join(_changed(home, elsewhere)) or None


def _remember_alone(conn: Connection, home: Home, now: datetime) -> list[Stranded]:
    """Remember where nothing of another account would be left behind; else what would."""
    elsewhere = ledger.alive_elsewhere(conn, home)
    if not elsewhere:
        _remember(conn, home, now)
    return elsewhere


def _remember(conn: Connection, home: Home, now: datetime) -> None:
    ensure_providers(conn, [home.provider], now)
    ledger.remember(conn, home, now)


def _changed(home: Home, elsewhere: list[Stranded]) -> Iterator[str]:
    for one in elsewhere:
        what = f"[providers.{home.provider}] is the account {home.account}, and {one.count:,} purchases under it are of"
        mends = f"{mend(one, home.account)}; where it is another: give it another alias"
        yield f"{what} {one.account}: {mends}"


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
