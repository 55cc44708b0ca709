"""Which accounts a database that went back in time may be behind for: asked for all of them together.

Most have no mark, or none that the database does not have. So a thousand cost a few round trips and queries, and who is
named is looked at alone (`tasks.restored_database`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.chunks import chunks
from tasks.ledger import history
from tasks.runtime import Runtime

FEWEST = 100
"""Marks that are looked up at the least, however few calls an account may have under way."""

TOGETHER = 100
"""Accounts whose marks are read in one round trip, and looked up in one transaction."""


def telling(runtime: Runtime, account: str) -> int:
    """How many of an account's newest marks tell whether any is lost: more than it has calls under way."""
    aliases = runtime.accounts[account].aliases if account in runtime.accounts else ()
    return max(FEWEST, *(2 * runtime.providers[alias].policy.max_in_flight for alias in aliases), 0)


def in_question(runtime: Runtime) -> Iterator[str]:
    """The accounts of which a mark is not in the database, and those that have marks under another name, too.

    Of all others it has every attempt that was marked, which is remembered. Raises redis.RedisError and
    SQLAlchemyError while one of the two is away.
    """
    for some in chunks(runtime.watermark.marked(runtime.accounts), TOGETHER):
        yield from _among(runtime, some)


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
