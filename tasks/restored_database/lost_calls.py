"""Which calls the database has lost: the watermark knows them, and it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from schemas.events import utc_text
from tasks.ledger import history
from tasks.ledger.calls.intents import reference_of
from tasks.restored_database.questioned_accounts import telling
from tasks.runtime import Database, Runtime
from tasks.watermark import Mark, Newest

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


def lost_calls(database: Database, account: str, marks: Sequence[Mark]) -> Lost:
    """Which of an account's *marks*, the newest first, the database has lost. Raises SQLAlchemyError."""
    with database.read() as conn:
        lost = history.lost(conn, marks, account=account)
    gone = set(lost)
    known = max((mark.started_at for mark in marks if mark not in gone), default=None)
    return Lost(account=account, calls=lost, known=known)


def newest_marks(runtime: Runtime, account: str) -> list[Mark]:
    """As many marks as tell whether any is lost: more than the account has calls under way."""
    return runtime.watermark.newest(account, telling(runtime, account), others_than(runtime, account))


def look(runtime: Runtime, account: str, server: str) -> Newest:
    """The newest marks, read for *server*: from now on nobody marks what was committed on another."""
    runtime.watermark.meet(server)
    return Newest(marks=newest_marks(runtime, account), server=server)


def all_lost(runtime: Runtime, account: str) -> Lost:
    """All of an account, with the pools that they were for, as a pool's limit counts them, and our names of them."""
    others = others_than(runtime, account)
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


def others_than(runtime: Runtime, account: str) -> list[str]:
    """The further accounts of the file."""
    return [one for one in runtime.accounts if one != account]


def _second(moment: datetime) -> str:
    return f"{utc_text(moment)[:19]}Z"
