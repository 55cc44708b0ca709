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


def require_current(conn: Connection, accounts: Mapping[str, str]) -> None:
    """Raises Outdated where one of the aliases is another account by now than *accounts* says."""
    for row in conn.execute(_KNOWN, {"aliases": list(accounts)}):
        if row.account != accounts[row.provider]:
            who = f"is the account {row.account}" if row.account else "is no account"
            raise Outdated(
                f"{row.provider} {who} by now, and not {accounts[row.provider]}: go on with the file that says so; "
                "what stands under the former goes along by `dialstock provider move` (`dialstock doctor` tells how)"
            )
