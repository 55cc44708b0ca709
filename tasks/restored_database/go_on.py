"""A database that went back in time buys nothing until what it lost was taken in, or a person answered for it.

Workers compare it with the watermark as they start, every two seconds, and before the first claim on each new
connection: who was restored or promoted is reached by a new one, so nothing is claimed before the look. Behind a pooler
that keeps its clients' connections over a failover it is the timer that looks: a purchase that was released anew in
those two seconds could be bought again.

A worker that stood still between commit and mark while the server was replaced marks nothing, and does not send, once
anybody has looked at the new one. Where the server does not say which it is, the timer finds such a mark, however many
were written after it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from schemas.events import utc_text
from schemas.settling import Finding, FindingKind
from schemas.tables.purchases import PURCHASE
from tasks.audit.compare import Report, Settlement, gone_among, proves_absence
from tasks.audit.walk_owned import walk
from tasks.chunks import chunks
from tasks.ledger import accounts, history
from tasks.ledger.audit.differences import alive
from tasks.ledger.calls.intents import reference_of
from tasks.ledger.orders.wishes import stop_wishes
from tasks.ledger.queue import pausing, standing
from tasks.ledger.resolve import Settler
from tasks.ledger.rows import Row, some_numbers
from tasks.orders import CHUNK
from tasks.policies.pause import Cause, Pause
from tasks.provider_reaction import pause_provider
from tasks.questioned_accounts import in_question, telling
from tasks.runtime import Binding, Database, Runtime
from tasks.stopped_releases import WENT_BACK, keep_all
from tasks.watermark import Mark, Newest

log = logging.getLogger(__name__)

NAMED = 10
"""Numbers that a pause's reason names."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The marked calls of an account that the database does not know, the newest first.

    `known` is when the newest began that it does know, None where it knows none.
    """

    account: str
    calls: Sequence[Mark]
    known: datetime | None

    @property
    def numbers(self) -> list[str]:
        """What was called for to be bought, each once, the newest first."""
        return list(dict.fromkeys(mark.number for mark in self.calls if mark.release_id is None))

    @property
    def given_back(self) -> list[str]:
        """What was called for to be given back, each once, the newest first."""
        return list(dict.fromkeys(mark.number for mark in self.calls if mark.release_id is not None))

    @property
    def references(self) -> dict[str, list[str]]:
        """Our names of the calls to buy each number, the newest first."""
        found: dict[str, list[str]] = {}
        for mark in self.calls:
            if mark.release_id is None and mark.reference is not None:
                found.setdefault(mark.number, []).append(mark.reference)
        return found

    def __str__(self) -> str:
        first, last = (_second(one.started_at) for one in (self.calls[-1], self.calls[0]))
        back = sum(mark.release_id is not None for mark in self.calls)
        to = {"to buy": len(self.calls) - back, "to give back": back}
        lost = " and ".join(f"{count:,} calls {what}" for what, count in to.items() if count)
        numbers = [*self.numbers, *self.given_back]
        more = len(numbers) - NAMED
        named = ", ".join(numbers[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
        known = (
            "it knows none before" if self.known is None else f"the newest that it knows is of {_second(self.known)}"
        )
        return (
            f"the database went back in time: it has lost {lost} at {self.account}, made "
            f"{first} to {last} ({known}), for {named}"
        )


@dataclass(frozen=True, kw_only=True)
class GoingOn:
    """What an audit means for an account that the database is behind for.

    `settled`: it is behind no more, and `aliases`, which were paused for that, go on; `unseen` are numbers that lost
    calls were made for and a look at the provider says are not ours. Else `audit_at` is from when on a list shows all
    that was bought; `shows_none`: the list has none of what was bought, or of what several lost calls were made for:
    only a person's word lets the account go on; `given_back` are numbers that lost calls gave back, the list does not
    show, and stand here as bought: they are to be marked as released; `unclear` are numbers of which nobody can say yet
    whether they are ours. Where none of these is told, the audit left something to settle.
    """

    settled: bool = False
    aliases: Sequence[str] = ()
    unseen: Sequence[str] = ()
    audit_at: datetime | None = None
    shows_none: bool = False
    given_back: Sequence[str] = ()
    unclear: Sequence[str] = ()


def lost_calls(database: Database, account: str, marks: Sequence[Mark]) -> Lost:
    """Which of an account's *marks*, the newest first, the database has lost. Raises SQLAlchemyError."""
    with database.read() as conn:
        lost = history.lost(conn, marks, account=account)
    gone = set(lost)
    known = max((mark.started_at for mark in marks if mark not in gone), default=None)
    return Lost(account=account, calls=lost, known=known)


def newest_marks(runtime: Runtime, account: str) -> list[Mark]:
    """As many marks as tell whether any is lost: more than the account has calls under way."""
    return runtime.watermark.newest(account, telling(runtime, account), _others(runtime, account))


def look(runtime: Runtime, account: str, server: str) -> Newest:
    """The newest marks, read for *server*: from now on nobody marks what was committed on another."""
    runtime.watermark.meet(server)
    return Newest(marks=newest_marks(runtime, account), server=server)


def compare(runtime: Runtime) -> bool:
    """Pause what the database is behind for. Says that there is no more to do.

    Raises redis.RedisError and SQLAlchemyError while one of the two is away.
    """
    with runtime.database.read() as conn:
        links = accounts.links(conn)
    runtime.watermark.relink(links)
    for account in in_question(runtime):
        if _went_back(runtime, account):
            _stop(runtime, account)
    return False


def _went_back(runtime: Runtime, account: str) -> bool:
    """By the newest marks, and by all since the last look that found none lost: one may have been marked late."""
    if lost_calls(runtime.database, account, newest_marks(runtime, account)).calls:
        return True
    since = runtime.watermark.since_known(account, _others(runtime, account))
    with runtime.database.read() as conn:
        if history.lost(conn, since.marks, account=account):
            return True
    runtime.watermark.known(since)
    return False


def take_in(runtime: Runtime, binding: Binding, report: Report, done: Settlement, by: str) -> GoingOn | None:
    """Let an account go on after an audit that adopted; None where the database is not behind for it.

    Not before the list was read late enough to show all that was bought, by the policy's last look: after the newest
    lost call, and after the pause, which the present database dates; and not while anything is left to settle, or
    anything is unclear: what is not ours here may be bought again.

    Raises ProviderError where the provider does not show its whole list once more, and redis.RedisError.
    """
    lost = _all_lost(runtime, binding.account)
    began = _behind(runtime, binding.account)
    if not (lost.calls or began):
        return None
    if not began:
        _stop_wishes(runtime, lost)
    shows = max([*began.values(), *(mark.deadline for mark in lost.calls)])
    if report.walks.shows_by < shows:
        return GoingOn(audit_at=shows + (report.walks.began - report.walks.shows_by))
    if done.left:
        return GoingOn()
    if not proves_absence(runtime, report, lost.numbers):
        return GoingOn(shows_none=True)
    with runtime.database.read() as conn:
        standing = history.still_bought(conn, lost.account, lost.given_back)
    if gone := [number for number in standing if not report.walks.showed(number)]:
        return GoingOn(given_back=tuple(gone))
    unseen = [number for number in lost.numbers if number not in report.walks.last.ids]
    if unclear := _moved(runtime, binding, report) or _unclear(runtime, binding, lost, unseen):
        return GoingOn(unclear=tuple(unclear))
    _keep_numbers(runtime, binding.account, even_under_way=True)
    _answer(runtime, lost)
    aliases = _go_on(runtime, binding.account, began, by, f"an audit took in what is ours of {binding.account}")
    return GoingOn(settled=True, aliases=tuple(aliases), unseen=tuple(unseen))


def _moved(runtime: Runtime, binding: Binding, report: Report) -> list[str]:
    """Numbers that a further walk shows, and the audit's did not, or the other way round.

    A list that shrinks while it is walked hides an entry between two pages, and of what was lost there need be no mark:
    Redis keeps the newest, and may have been emptied.
    """
    again = walk(runtime, binding, lambda _: None, lambda: False)
    return sorted(again.ids.keys() ^ report.walks.last.ids.keys())


def _unclear(runtime: Runtime, binding: Binding, lost: Lost, numbers: Sequence[str]) -> list[str]:
    """Those of *numbers* of which a look does not say that they are not ours.

    It asks for the orders of the lost calls too: a list does not show what is not delivered yet.
    """
    absent: set[str] = set()
    for chunk in chunks(numbers, CHUNK):
        rows = alive(runtime.database.read, lost.account, PURCHASE.c.number.in_(chunk))
        ids = {row.number: row.id for row in rows}
        asked = [
            Finding(kind=FindingKind.ABSENT, number=one, provider=binding.alias, purchase_id=ids.get(one))
            for one in chunk
        ]
        absent.update(
            one.number for gone in gone_among(runtime, binding, asked, called=lost.references) for one in gone
        )
    return [number for number in numbers if number not in absent]


def believe(runtime: Runtime, binding: Binding, by: str, why: str) -> tuple[list[str], list[Row]]:
    """Let an account go on because a person says so. What lost calls may have bought is held, and not bought again.

    Returns the aliases that go on, and the purchases that were held. It may be done again wherever it broke off.
    """
    account = binding.account
    lost, began = _all_lost(runtime, account), _behind(runtime, account)
    if not began:
        _stop_wishes(runtime, lost)
    held = []
    for chunk in chunks(lost.calls, CHUNK):
        settler = Settler(by=by, now=runtime.now())
        held += runtime.database.run(
            partial(history.hold, marks=chunk, account=account, alias=binding.alias, settler=settler, why=why)
        )
    _keep_numbers(runtime, account, even_under_way=True)
    _answer(runtime, lost)
    return _go_on(runtime, account, began, by, why), held


def _all_lost(runtime: Runtime, account: str) -> Lost:
    """With the pools that they were for, as a pool's limit counts them, and our names of them."""
    others = _others(runtime, account)
    lost = lost_calls(runtime.database, account, runtime.watermark.newest(account, others=others))
    if not lost.calls:
        return lost
    pools = runtime.watermark.pools(account, others)
    references = runtime.watermark.references(account, others)
    calls = []
    for mark in lost.calls:
        own = reference_of(mark.purchase_id, mark.revision)
        reference = references.get((mark.purchase_id, mark.revision), own)
        calls.append(replace(mark, pool=pools.get(mark.purchase_id), reference=reference))
    return replace(lost, calls=calls)


def _others(runtime: Runtime, account: str) -> list[str]:
    return [one for one in runtime.accounts if one != account]


def _answer(runtime: Runtime, lost: Lost) -> None:
    """The oldest first: where this breaks off the newest are lost still, and those are what is looked at."""
    for chunk in chunks(lost.calls[::-1], CHUNK):
        runtime.database.run(partial(history.answer, marks=chunk, account=lost.account, now=runtime.now()))


def _stop(runtime: Runtime, of: str) -> None:
    account = runtime.accounts[of]
    with runtime.database.read() as conn:
        rows = standing.read(conn, account)
    behind = {row["provider"] for row in rows if row["cause"] == Cause.BEHIND}
    going = [alias for alias in account.aliases if alias not in behind]
    lost = _all_lost(runtime, of) if going else None
    if lost is not None and lost.calls:
        _stop_wishes(runtime, lost)
        wanted = Pause(cause=Cause.BEHIND, reason=str(lost), cooldown=None)
        for alias in going:
            pause_provider(runtime, alias, wanted, also=standing.former(rows, account.aliases))
        _keep_numbers(runtime, of)


def _stop_wishes(runtime: Runtime, lost: Lost) -> None:
    """Look for no more numbers of orders by criteria: they would be bought beside those whose lines are lost.

    Once, as it is found out: who has them go on since has counted.
    """
    if lost.numbers:
        others = [one.alias for one in runtime.providers.values() if one.account != lost.account]
        now = runtime.now()
        runtime.database.run(lambda conn: stop_wishes(conn, others, now))


def _keep_numbers(runtime: Runtime, account: str, *, even_under_way: bool = False) -> None:
    """Give nothing back that was on its way in what the database went back to: it may be what was bought since.

    As it stops, so that an audit sees what is ours; and before it goes on, for what was asked for meanwhile.
    """
    if kept := keep_all(runtime, [account], WENT_BACK, even_under_way=even_under_way):
        log.warning("the database went back in time: not given back but kept: %s", some_numbers(kept))


def _behind(runtime: Runtime, account: str) -> dict[str, datetime]:
    """The account's names that are paused because the database is behind, and since when."""
    with runtime.database.read() as conn:
        rows = standing.read(conn, runtime.accounts[account])
    return {row["provider"]: row["paused_at"] for row in rows if row["cause"] == Cause.BEHIND}


def _go_on(runtime: Runtime, of: str, names: Iterable[str], by: str, note: str) -> list[str]:
    """The account's aliases that go on: others wait yet, as for a person."""
    account = runtime.accounts[of]

    def go_on(conn: Connection) -> list[str]:
        ended = [one for one in sorted(names) if pausing.resume_behind(conn, one, runtime.now(), by=by, note=note)]
        rows = standing.read(conn, account)
        stand = {alias: standing.standing(rows, alias, account) for alias in account.aliases}
        return [alias for alias, one in stand.items() if ended and not one.paused]

    return runtime.database.run(go_on)


def _second(moment: datetime) -> str:
    return f"{utc_text(moment)[:19]}Z"
