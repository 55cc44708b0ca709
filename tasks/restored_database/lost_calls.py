"""Which calls the database has lost: the watermark knows them, and it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from schemas.events import utc_text
from tasks.ledger import history
from tasks.ledger.calls.intents import former_reference
from tasks.restored_database.questioned_accounts import telling
from tasks.runtime import Database, Runtime
from tasks.watermark import Mark, Newest

NAMED = 10
"""Numbers that a pause's reason names."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The marked calls of an account that the database does not know, the newest first.

    `known` is when the newest began that it does know, None where it knows none; `references` our names of the calls to
    buy, by number.
    """

    account: str
    calls: Sequence[Mark]
    known: datetime | None
    references: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def numbers(self) -> list[str]:
        """What was called for to be bought, each once, the newest first."""
        return list(dict.fromkeys(mark.number for mark in self.calls if mark.release_id is None))

    @property
    def given_back(self) -> list[str]:
        """What was called for to be given back, each once, the newest first."""
        return list(dict.fromkeys(mark.number for mark in self.calls if mark.release_id is not None))

    @property
    def until(self) -> datetime | None:
        """When the newest of them began."""
        return max((mark.started_at for mark in self.calls), default=None)

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


def lost_calls(database: Database, account: str, marks: Sequence[Mark]) -> Lost:
    """Which of an account's *marks*, the newest first, the database has lost. Raises SQLAlchemyError."""
    with database.read() as conn:
        lost = history.lost(conn, marks, account=account)
    gone = set(lost)
    known = max((mark.started_at for mark in marks if mark not in gone), default=None)
    return Lost(account=account, calls=lost, known=known)


def unknown_to(pauses: Iterable[datetime], calls: Iterable[Mark]) -> bool:
    """Whether any of lost *calls* was made after all *pauses* of its account began: none of them was for it.

    The account had gone on since, and the database came back to a time at which it was stopped for another restore.
    """
    last = max(pauses, default=None)
    return any(last is None or mark.started_at > last for mark in calls)


def newest_marks(runtime: Runtime, account: str) -> list[Mark]:
    """As many marks as tell whether any is lost: more than the account has calls under way."""
    return runtime.watermark.newest(account, telling(runtime, account), others_than(runtime, account))


def look(runtime: Runtime, accounts: Iterable[str], server: str) -> dict[str, Newest]:
    """The newest marks of each account, read for *server*: from now on nobody marks what was committed on another."""
    runtime.watermark.meet(server)
    counts = {account: telling(runtime, account) for account in accounts}
    found = runtime.watermark.newest_of(counts)
    linked = {account: newest_marks(runtime, account) for account in counts if account not in found}
    return {account: Newest(marks=marks, server=server) for account, marks in (found | linked).items()}


def all_lost(runtime: Runtime, account: str) -> Lost:
    """All of an account, with the pools that they were for, as a pool's limit counts them, and our names of them."""
    others = others_than(runtime, account)
    marks = runtime.watermark.newest(account, others=others)
    lost = lost_calls(runtime.database, account, marks)
    if not lost.calls:
        return lost
    pools = runtime.watermark.pools(account, others)
    calls = [replace(mark, pool=pools.get(mark.purchase_id)) for mark in lost.calls]
    names = _names(marks, runtime.watermark.references(account, others))
    return replace(lost, calls=calls, references=_by_number(lost.calls, names))


def _names(
    marks: Sequence[Mark], references: Mapping[tuple[str, int], Sequence[str]]
) -> dict[tuple[str, int], list[str]]:
    """Our names of the marked calls to buy. Where fewer are told than calls are marked, an older program made one."""
    calls = Counter((mark.purchase_id, mark.revision) for mark in marks if mark.release_id is None)
    names = {call: [*references.get(call, ())] for call in calls}
    for call, told in names.items():
        if len(told) < calls[call]:
            told.append(former_reference(*call))
    return names


def _by_number(calls: Sequence[Mark], names: Mapping[tuple[str, int], Sequence[str]]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for mark in calls:
        if mark.release_id is None:
            found.setdefault(mark.number, {}).update(dict.fromkeys(names[mark.purchase_id, mark.revision]))
    return {number: [*own] for number, own in found.items()}


def others_than(runtime: Runtime, account: str) -> list[str]:
    """The further accounts of the file."""
    return [one for one in runtime.accounts if one != account]


def _second(moment: datetime) -> str:
    return f"{utc_text(moment)[:19]}Z"
