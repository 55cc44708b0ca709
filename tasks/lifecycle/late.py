"""Purchases whose messages wait behind others, taken late: they are not lost, so they are not sent again."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from functools import partial

from tasks.chunks import chunks
from tasks.ledger import due
from tasks.ledger.queue import requeue
from tasks.runtime import Runtime

TOGETHER = 100
"""Providers whose purchases one statement leaves alone for longer."""

MOST = 500
"""Purchases of one transaction: nobody can claim them meanwhile, and on SQLite nothing at all."""


def leave_late(runtime: Runtime) -> None:
    """Give what was released with a message that was taken late, or after it, its time anew, before that is over.

    Whichever worker took it: this one's own message says that its queues are long. A purchase whose message is lost
    is left alone no longer than that: who is taken late then was released after it.
    """
    since = runtime.backlog.since()
    if since is None:
        return
    aliases = defaultdict(list)
    for binding in runtime.providers.values():
        aliases[binding.policy.take_within].append(binding.alias)
    for within, own in aliases.items():
        _leave(runtime, own, since, within)


def _leave(runtime: Runtime, aliases: list[str], since: datetime, within: float) -> None:
    now = runtime.now()
    soon, until = now + timedelta(seconds=within / 2), now + timedelta(seconds=within)
    with runtime.database.read() as conn:
        late = due.overdue(conn, soon).intersection(aliases)
    for some in chunks(sorted(late), TOGETHER):
        leave = partial(requeue.keep_late, aliases=some, since=since, soon=soon, until=until, most=MOST)
        while runtime.database.run(leave) == MOST:
            pass
