"""Whether each alias is the account that it was, and what waits where no worker buys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from schemas.config.file import Config
from tasks.accounts.overtaken import MEND, in_words, overtaken
from tasks.accounts.stranded import homes_in, mend, read_file, refusals, waiting
from tasks.ledger import accounts
from workers.cli.doctor.findings import Finding, fail, ok


def examine_accounts(conn: Connection, config: Config, now: datetime) -> Iterator[Finding]:
    """Read only, by the rule of a worker that starts; what is written in a new way is taken over when one does."""
    apart = overtaken(conn, config, now)
    problems = [fail("accounts", f"{alias} {in_words(account)}", MEND) for alias, account in sorted(apart.items())]
    problems += _examine(conn, config)
    yield from problems or [ok("accounts", "every purchase under way is of an account that is configured")]


def _examine(conn: Connection, config: Config) -> Iterator[Finding]:
    file = read_file(conn, homes_in(config))
    refused = refusals(conn, file)
    for each in refused:
        yield fail("accounts", f"{each.what}: no worker starts", each.mend)
    told = {(each.stray.provider, each.stray.account) for each in refused}
    for one in waiting(conn, file):
        if (one.provider, one.account) not in told:
            told.add((one.provider, one.account))
            message = f"{one.count:,} purchases wait under {one.provider} for {one.account}, which no worker buys for"
            yield fail("accounts", message, mend(one, file))
    for one in accounts.held_under_others(conn, file.homes):
        # Who left an account, or whose account goes on under another alias, has them settled in his own time.
        if (one.provider, one.account) not in told and one.account not in (*file.ended, *file.aliases):
            message = f"{one.count:,} purchases are held under {one.provider}, which the file does not have"
            settle = f"dialstock purchase resolve --where provider={one.provider} --bought (or --fail)"
            yield fail("accounts", message, f"see at its dashboard, then {settle}; or {mend(one, file)}")
