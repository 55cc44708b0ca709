"""The scheduled audits of the accounts: who has one under way, and when the next is due.

`began_at` tells one claim from another: only who began the audit renews it, ends it, or settles what it found.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, update

from schemas.config.policy import Policy
from schemas.outcomes import clip
from schemas.tables.audits import AUDIT_RUN
from tasks.ledger.rows import insert_new

LEASE = timedelta(seconds=30)
"""How long after its last renewal an audit is due again: its worker died, or stands still."""

RETRY_AFTER = timedelta(hours=1)
"""How long after one that failed the next is due, at the latest."""


def claim(conn: Connection, account: str, alias: str, now: datetime) -> bool:
    """Take the account's scheduled audit where it is due; one worker gets it, however many were asked."""
    insert_new(conn, AUDIT_RUN, [{"account": account, "provider": alias, "due_at": now}])
    claimed = conn.execute(
        update(AUDIT_RUN)
        .where(AUDIT_RUN.c.account == account, AUDIT_RUN.c.due_at <= now)
        .values(provider=alias, began_at=now, ended_at=None, owned=None, error=None, due_at=now + LEASE)
    )
    return claimed.rowcount == 1


def renew(conn: Connection, account: str, began: datetime, now: datetime) -> bool:
    """Keep the audit that began at *began*, and its row locked. False where another took its place."""
    at = AUDIT_RUN.c
    kept = conn.execute(update(AUDIT_RUN).where(at.account == account, at.began_at == began).values(due_at=now + LEASE))
    return kept.rowcount == 1


def end(
    conn: Connection,
    account: str,
    policy: Policy,
    *,
    began: datetime,
    now: datetime,
    owned: int | None,
    error: str | None,
) -> None:
    """Write down how the audit went that began at *began*, and when the next is due."""
    every = timedelta(seconds=policy.audit_every)
    due = began + every if error is None else now + min(every, RETRY_AFTER)
    conn.execute(
        update(AUDIT_RUN)
        .where(AUDIT_RUN.c.account == account, AUDIT_RUN.c.began_at == began)
        .values(ended_at=now, owned=owned, error=clip(error), due_at=due)
    )


def give_back(conn: Connection, account: str, began: datetime) -> None:
    """Have the audit that began at *began* due again at once: its worker shuts down."""
    at = AUDIT_RUN.c
    conn.execute(update(AUDIT_RUN).where(at.account == account, at.began_at == began).values(due_at=began))
