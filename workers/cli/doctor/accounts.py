"""Whether each alias is the account that it was, and what waits where no worker buys."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from schemas.config import Config
from tasks.accounts import mend
from tasks.ledger import accounts
from tasks.ledger.accounts import Home
from workers.cli.doctor.findings import Finding, fail, ok


def examine_accounts(conn: Connection, config: Config) -> Iterator[Finding]:
    """Read only: an account that is written in a new way is taken over when a worker starts."""
    configured = {alias: provider.account for alias, provider in config.providers.items()}
    problems = [*_changed(conn, config), *_stranded(conn, configured)]
    yield from problems or [ok("accounts", "every purchase under way is of an account that is configured")]


def _changed(conn: Connection, config: Config) -> Iterator[Finding]:
    known = accounts.remembered(conn)
    for alias, provider in config.providers.items():
        if alias in known and known[alias].account == provider.account:
            continue
        for one in accounts.alive_elsewhere(conn, Home(provider=alias, account=provider.account)):
            if one.account != provider.former_account:
                message = f"{alias} is {provider.account} in the file, and {one.count:,} purchases are of {one.account}"
                yield fail("accounts", f"{message}: no worker starts", mend(one, provider.account))


def _stranded(conn: Connection, configured: dict[str, str]) -> Iterator[Finding]:
    for one in accounts.stranded(conn, configured):
        message = f"{one.count:,} purchases wait under {one.provider} for {one.account}, which no worker buys for"
        yield fail("accounts", message, mend(one))
