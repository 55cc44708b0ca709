"""What is asked of each account once a day: one message of beat's has a worker see whose turn it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Table

from tasks.ledger import due
from tasks.runtime import Binding, Message, Runtime

EXPIRES = timedelta(minutes=5)
"""After which a message is dropped: without a worker they must not pile up. Senders' clocks may be off."""


def send_due(runtime: Runtime, task: str, table: Table, wanted: Iterable[Binding]) -> None:
    """Send *task* for each of *wanted* whose account is due by *table*, to its own queue. One query tells of all.

    It may have been sent already, and is again: who takes it finds whether it is due.
    """
    now = runtime.now()
    with runtime.database.read() as conn:
        later = due.later(conn, table, now)
    runtime.send(
        Message(task=task, queue=one.queue, kwargs={"provider": one.alias}, expires=now + EXPIRES)
        for one in wanted
        if one.account not in later
    )
