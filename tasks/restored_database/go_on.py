"""Letting an account go on that the database was behind for: by an audit that took in what is ours, or by a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from schemas.config.policy import Policy
from schemas.settling import Finding, FindingKind
from schemas.tables.purchases import PURCHASE
from tasks.audit.compare import Report, Settlement, gone_among, proves_absence
from tasks.audit.walk_owned import walk
from tasks.chunks import chunks
from tasks.ledger import history
from tasks.ledger.audit.differences import Walks, alive, taken_in
from tasks.ledger.queue import pausing, standing
from tasks.ledger.rows import Row
from tasks.orders import CHUNK
from tasks.policies.backoff import call_length
from tasks.policies.pause import Cause
from tasks.restored_database.detect import doubt_lost, keep_numbers
from tasks.restored_database.lost_calls import Lost, all_lost, unknown_to
from tasks.runtime import Binding, Runtime
from tasks.watermark import Mark


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


def take_in(runtime: Runtime, binding: Binding, report: Report, done: Settlement, by: str) -> GoingOn | None:
    """Let an account go on after an audit that adopted; None where the database is not behind for it.

    Not before the list was read late enough to show all that was bought, by the policy's last look: after the newest
    lost call, and after what was under way at the pause, which the present database dates, or as its clock was set; and
    not while anything is left to settle, or anything is unclear: what is not ours here may be bought again.

    Raises ProviderError where the provider does not show its whole list once more, and redis.RedisError.
    """
    lost = all_lost(runtime, binding.account)
    began = _behind(runtime, binding.account)
    if not (lost.calls or began):
        return None
    if unknown_to(began.values(), lost.calls):
        doubt_lost(runtime, lost)
    shows = _over_by(binding.policy, lost, began, report.walks.clock_set_at)
    if report.walks.shows_by < shows:
        return GoingOn(audit_at=shows + timedelta(seconds=binding.policy.reconcile_after[-1]))
    if done.left:
        return GoingOn()
    if not proves_absence(runtime, report, lost.numbers):
        return GoingOn(shows_none=True)
    with runtime.database.read() as conn:
        gone = _gone(conn, report.walks, lost.given_back)
    if gone:
        return GoingOn(given_back=tuple(gone))
    unseen = [number for number in lost.numbers if number not in report.walks.last.ids]
    if unclear := _moved(runtime, binding, report) or _unclear(runtime, binding, lost, unseen):
        return GoingOn(unclear=tuple(unclear))
    still = partial(_is_paused_since, runtime, lost.account, began)
    keep_numbers(runtime, binding.account, even_under_way=True, still=still)
    for chunk in chunks(unseen, CHUNK):
        runtime.database.run(partial(_doubt_no_more, still, lost.account, chunk))
    aliases = _answer_taken_in(runtime, lost, began, report.walks, by)
    return GoingOn() if aliases is None else GoingOn(settled=True, aliases=tuple(aliases), unseen=tuple(unseen))


def _over_by(policy: Policy, lost: Lost, began: Mapping[str, datetime], set_at: datetime | None) -> datetime:
    """When all calls were over that the database may have lost."""
    under_way = timedelta(seconds=call_length(policy))
    stopped = [*began.values(), *([] if set_at is None else [set_at])]
    return max([*(at + under_way for at in stopped), *(mark.deadline for mark in lost.calls)])


def _answer_taken_in(
    runtime: Runtime, lost: Lost, began: Mapping[str, datetime], walks: Walks, by: str
) -> list[str] | None:
    """The aliases that go on; None where what was taken in stands no more.

    Of some lost calls there may be no mark any more: all that the list shows has to stand as the account goes on.
    """
    if _answer(runtime, lost, began, partial(_taken_in, walks)) is None:
        return None
    note = f"an audit took in what is ours of {lost.account}"
    stands = partial(taken_in, walks=walks, numbers=walks.last.ids)
    return _go_on(runtime, lost.account, began, by, note, stands=stands)


def _doubt_no_more(still: Callable[[Connection], bool], account: str, numbers: Sequence[str], conn: Connection) -> None:
    if still(conn):
        history.doubt_no_more(conn, account=account, numbers=numbers)


def _gone(conn: Connection, walks: Walks, given_back: Iterable[str]) -> list[str]:
    """Numbers that stand here as bought, and lost calls gave back: no walk shows them."""
    return [one for one in history.still_bought(conn, walks.account, list(given_back)) if not walks.showed(one)]


def _taken_in(walks: Walks, conn: Connection, marks: Sequence[Mark]) -> list[Row] | None:
    given_back = {mark.number for mark in marks if mark.release_id is not None}
    stands = taken_in(conn, walks, {mark.number for mark in marks}) and not _gone(conn, walks, given_back)
    return [] if stands else None


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
    lost, began = all_lost(runtime, account), _behind(runtime, account)
    if unknown_to(began.values(), lost.calls):
        doubt_lost(runtime, lost)
    still = partial(_is_paused_since, runtime, account, began)
    keep_numbers(runtime, account, even_under_way=True, still=still)

    def hold(conn: Connection, marks: Sequence[Mark]) -> list[Row]:
        said = f"{by} let {binding.alias} go on: {why}"
        return history.hold(conn, marks, account=account, alias=binding.alias, now=runtime.now(), said=said)

    held = _answer(runtime, lost, began, hold)
    if held is None:
        return [], []
    return _go_on(runtime, account, began, by, why) or [], list({row["id"]: row for row in held}.values())


def hold_lost(runtime: Runtime, account: str, alias: str) -> list[Row]:
    """Hold what lost calls of an account may have bought that is left: nobody audits it any more.

    Returns the purchases that were held. It may be done again wherever it broke off. Raises redis.RedisError.
    """
    lost = all_lost(runtime, account)
    if lost.calls:
        doubt_lost(runtime, lost)

    def hold(conn: Connection, marks: Sequence[Mark]) -> list[Row]:
        now = runtime.now()
        held = history.hold(conn, marks, account=account, alias=alias, now=now, said="its account was left")
        history.answer(conn, marks, account=account, now=now)
        return held

    return [
        row for chunk in chunks(lost.calls[::-1], CHUNK) for row in runtime.database.run(partial(hold, marks=chunk))
    ]


def _answer(
    runtime: Runtime,
    lost: Lost,
    began: Mapping[str, datetime],
    first: Callable[[Connection, Sequence[Mark]], list[Row] | None],
) -> list[Row] | None:
    """The oldest first: where this breaks off the newest are lost still, and those are what is looked at.

    Returns what *first* returned, which is done in the same transaction. None where the database is not the one any
    more that was looked at: its pauses, or *first* by None, tell that what was taken in went back with it.
    """

    def answer(conn: Connection, marks: Sequence[Mark]) -> list[Row] | None:
        if not _is_paused_since(runtime, lost.account, began, conn):
            return None
        done = first(conn, marks)
        if done is not None:
            history.answer(conn, marks, account=lost.account, now=runtime.now())
        return done

    rows: list[Row] = []
    for chunk in chunks(lost.calls[::-1], CHUNK):
        done = runtime.database.run(partial(answer, marks=chunk))
        if done is None:
            return None
        rows += done
    return rows


def _behind(runtime: Runtime, account: str) -> dict[str, datetime]:
    """The account's names that are paused because the database is behind, and since when."""
    with runtime.database.read() as conn:
        return _paused(conn, runtime, account)


def _paused(conn: Connection, runtime: Runtime, account: str) -> dict[str, datetime]:
    rows = standing.read(conn, runtime.accounts[account])
    return {row["provider"]: row["paused_at"] for row in rows if row["cause"] == Cause.BEHIND}


def _is_paused_since(runtime: Runtime, account: str, began: Mapping[str, datetime], conn: Connection) -> bool:
    """Whether nobody has ended these pauses yet, and the database did not go back to before them."""
    there = _paused(conn, runtime, account)
    return all(there.get(alias) == at for alias, at in began.items())


def _go_on(
    runtime: Runtime,
    of: str,
    names: Iterable[str],
    by: str,
    note: str,
    *,
    stands: Callable[[Connection], bool] = lambda _: True,
) -> list[str] | None:
    """The account's aliases that go on: others wait yet, as for a person. None where *stands* says no."""
    account = runtime.accounts[of]

    def go_on(conn: Connection) -> list[str] | None:
        if not stands(conn):
            return None
        ended = [one for one in sorted(names) if pausing.resume_behind(conn, one, runtime.now(), by=by, note=note)]
        rows = standing.read(conn, account)
        stand = {alias: standing.standing(rows, alias, account) for alias in account.aliases}
        return [alias for alias, one in stand.items() if ended and not one.paused]

    return runtime.database.run(go_on)
