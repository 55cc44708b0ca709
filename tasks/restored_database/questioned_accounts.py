"""Which accounts a database that went back in time may be behind for: asked for all of them together.

Most have no mark, or none that the database does not have. So a thousand cost a few round trips and queries, and who is
named is looked at alone (`tasks.restored_database`).

Where nothing was marked since all was there, the last mark is looked up each time: a database that goes back loses what
it committed last. Two calls may have been marked in the other order, so all are looked up now and then.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain

from tasks.chunks import chunks
from tasks.ledger import history
from tasks.runtime import Runtime
from tasks.watermark import Mark

FEWEST = 100
"""Marks that are looked up at the least, however few calls an account may have under way."""

TOGETHER = 100
"""Accounts whose marks are read in one round trip, and looked up in one transaction."""

NEW = timedelta(minutes=1)
"""How long after its last call all marks of an account are looked up each time."""

AGAIN = 100
"""Accounts, drawn by chance, of which all are looked up all the same, each time."""


def telling(runtime: Runtime, account: str) -> int:
    """How many of an account's newest marks tell whether any is lost: more than it has calls under way."""
    aliases = runtime.accounts[account].aliases if account in runtime.accounts else ()
    return max(FEWEST, *(2 * runtime.providers[alias].policy.max_in_flight for alias in aliases), 0)


def in_question(runtime: Runtime) -> Iterator[str]:
    """The accounts of which a mark is not in the database, and those that have marks under another name, too.

    Of all others it has every attempt that was marked, which is remembered. Raises redis.RedisError and
    SQLAlchemyError while one of the two is away.
    """
    last = runtime.watermark.unchanged(runtime.accounts)
    others = runtime.watermark.marked(one for one in runtime.accounts if one not in last)
    for some in chunks([*others, *sorted(_to_look_at_again(runtime, last))], TOGETHER):
        yield from _among(runtime, some)


def _to_look_at_again(runtime: Runtime, last: Mapping[str, Sequence[Mark]]) -> set[str]:
    """Of the accounts with these *last* marks, and none since: those of which one is missing or new, and some more."""
    since = runtime.now() - NEW
    with runtime.database.read() as conn:
        wanted = set(history.unknown(conn, [*chain.from_iterable(last.values())]))
    wanted.update(mark for mark in chain.from_iterable(last.values()) if mark.started_at > since)
    marked = [account for account, marks in last.items() if marks]
    again = random.sample(marked, min(len(marked), AGAIN))
    return {account for account in marked if not wanted.isdisjoint(last[account])}.union(again)


def _among(runtime: Runtime, accounts: Sequence[str]) -> list[str]:
    looks = runtime.watermark.looks({account: telling(runtime, account) for account in accounts})
    with runtime.database.read() as conn:
        marks = {mark for newest, since in looks.values() for mark in (*newest, *since.marks)}
        missing = set(history.unknown(conn, [*marks]))
    left = [account for account in accounts if account not in looks]
    for account, (newest, since) in looks.items():
        if missing.isdisjoint(newest) and missing.isdisjoint(since.marks):
            runtime.watermark.known(since)
        else:
            left.append(account)
    return left
