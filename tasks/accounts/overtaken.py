"""Aliases that workers' file and the database take for different accounts: one of the two is from before an edit.

After a restore that is the database. A process does not know which is newer, so none but a start writes it down anew.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from schemas.config.file import Config
from tasks.ledger.outdated import known_otherwise
from tasks.processes import WORKER, running

MEND = "after a restore to before an edit, start a worker anew: one is enough; else bring the newer file here"


def overtaken(conn: Connection, config: Config, now: datetime) -> dict[str, str]:
    """Aliases for which workers that have *config* in force accept nothing, and which account each is in the database.

    Empty where no worker has it: the first that starts with it writes down who its aliases are.
    """
    if not any(one.role == WORKER and one.digest == config.digest for one in running(conn, now)):
        return {}
    return known_otherwise(conn, {alias: one.account for alias, one in config.providers.items()})


def in_words(account: str) -> str:
    """What is wrong with an alias that is *account* in the database, as `overtaken` tells it."""
    who = f"the account {account}" if account else "no account"
    return f"takes no requests: it is {who} in the database, and another in the file of the workers"
