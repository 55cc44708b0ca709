"""Faults of our own about who an account is: each takes back what keeps a purchase with its own."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from sqlalchemy import select

import tasks.accounts.identity
import tasks.ledger.accounts
import tasks.lifecycle.release_and_sweep
import workers.broker.incoming
from schemas.config.provider import ProviderConfig
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.calls import intents
from tasks.ledger.queue import daily_limit


def bought_by_whoever_it_is_now() -> AbstractContextManager[Any]:
    """A purchase is bought by the account that its alias is by now; a file may leave purchases behind."""

    def lock(conn: Any, wanted: Any) -> Any:
        found = {}
        for one in wanted:
            at = PURCHASE.c
            same = (at.id == one.purchase_id, at.revision == one.revision, at.status == Status.DISPATCHED)
            row = conn.execute(select(PURCHASE).where(*same)).mappings().first()
            if row:
                found[one] = dict(row)
        return found

    stack = ExitStack()
    stack.enter_context(patch.object(intents, "_lock", lock))
    stack.enter_context(patch.object(tasks.accounts.identity, "refusals", lambda *_: []))
    return stack


def account_by_alias() -> AbstractContextManager[Any]:
    """An account is what its alias is called."""
    stack = ExitStack()
    by_alias = property(lambda self: self._account(f"@{self._alias}"))
    stack.enter_context(patch.object(ProviderConfig, "account", by_alias))
    stack.enter_context(patch.object(tasks.accounts.identity, "refusals", lambda *_: []))
    return stack


def strangers_left() -> AbstractContextManager[Any]:
    """What was released, or is called for, under an alias that is gone is swept by nobody."""
    return patch.object(tasks.lifecycle.release_and_sweep, "sweep_strangers", lambda *_: 0)


def left_as_it_is() -> AbstractContextManager[Any]:
    """An account that is left leaves its doubts behind."""
    careful = tasks.ledger.accounts.leave

    def leave(conn: Any, row: Any, now: Any) -> Any:
        return None if row["status"] == Status.UNKNOWN else careful(conn, row, now)

    return patch.object(tasks.ledger.accounts, "leave", leave)


def doubt_not_counted() -> AbstractContextManager[Any]:
    """A daily limit counts what is known to be bought, and not what may be."""
    return patch.object(daily_limit, "CHARGED", PURCHASE.c.status == Status.PURCHASED)


def dropped_without_a_word() -> AbstractContextManager[Any]:
    """A message of a task that a worker does not know, as one of the release before, is kept by nobody."""
    return patch.object(workers.broker.incoming, "reject", lambda *_, **__: None)


MUTANTS_OF_ACCOUNTS = (
    dropped_without_a_word,
    bought_by_whoever_it_is_now,
    account_by_alias,
    strangers_left,
    left_as_it_is,
    doubt_not_counted,
)
