"""Who an alias is by now: a process whose file is older than another's accepts, releases and calls for nothing of it.

Each process writes down as it starts, and before anything is bought, which account its aliases are.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, exists, select

from schemas.config.errors import ConfigError
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.ledger.among import among

OUTDATED: ColumnElement[bool] = exists().where(
    PROVIDER.c.provider == PURCHASE.c.provider,
    PROVIDER.c.account.is_not(None),
    PROVIDER.c.account != PURCHASE.c.account,
)
"""Of purchases: their alias is another account by now."""


# Asked at each acceptance, so built once.
_KNOWN = select(PROVIDER.c.provider, PROVIDER.c.account).where(
    among(PROVIDER.c.provider, "aliases"), PROVIDER.c.account.is_not(None)
)


class Outdated(ConfigError):
    """An alias is another account by now than this process's file says."""


def known_otherwise(conn: Connection, accounts: Mapping[str, str]) -> dict[str, str]:
    """Those of the aliases that are another account by now than *accounts* says, and which: none is an empty one."""
    found = conn.execute(_KNOWN, {"aliases": list(accounts)})
    return {row.provider: row.account for row in found if row.account != accounts[row.provider]}


def require_current(conn: Connection, accounts: Mapping[str, str]) -> None:
    """Raises Outdated where one of the aliases is another account by now than *accounts* says."""
    for alias, account in known_otherwise(conn, accounts).items():
        who = f"is the account {account}" if account else "is no account"
        raise Outdated(
            f"{alias} {who} by now, and not {accounts[alias]}: go on with the file that says so; "
            "where the database went back to before an edit of the file, start a worker anew; "
            "what stands under the former goes along by `dialstock provider move` (`dialstock doctor` tells how)"
        )
