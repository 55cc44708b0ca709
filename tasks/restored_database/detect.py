"""Finding out that the database went back in time, and stopping what it is behind for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from tasks.chunks import chunks
from tasks.ledger import accounts, history
from tasks.ledger.orders.wishes import stop_wishes
from tasks.ledger.queue import pausing, requeue, standing
from tasks.ledger.rows import some_numbers
from tasks.orders import CHUNK
from tasks.policies.accounts import Account
from tasks.policies.pause import Cause, Pause
from tasks.provider_reaction import pause_provider
from tasks.releases.stopped_releases import WENT_BACK, keep_all
from tasks.restored_database.lost_calls import Lost, all_lost, lost_calls, newest_marks, others_than, unknown_to
from tasks.restored_database.questioned_accounts import in_question
from tasks.runtime import Runtime
from tasks.transactions import NotHere, always, server_of
from tasks.watermark import Mark

T = TypeVar("T")

log = logging.getLogger(__name__)


def compare(runtime: Runtime) -> bool:
    """Pause what the database is behind for. Says that there is no more to do.

    Raises redis.RedisError and SQLAlchemyError while one of the two is away.
    """
    with runtime.database.read() as conn:
        links, behind = accounts.links(conn), pausing.behind(conn)
    if behind:
        _begin_anew(runtime)
    runtime.watermark.relink(links)
    for account in in_question(runtime):
        if lost := _lost_lately(runtime, account):
            _stop(runtime, account, lost)
    return False


def _begin_anew(runtime: Runtime) -> None:
    """What was bought shows some time after a pause, of which a clock that is set ahead spares all: wait once more.

    A command that is started then cannot know.
    """
    watch = runtime.watched()
    if watch.was_set:
        runtime.database.run(lambda conn: pausing.begin_anew(conn, watch.since, watch.now))


class Uncompared(NotHere):
    """Nobody has compared the accounts on *server*, behind this connection."""

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self.server = server


def compare_once(runtime: Runtime, server: str) -> None:
    """Pause what *server* is behind for, once in this process: what several accounts share is counted then.

    Raises redis.RedisError and SQLAlchemyError while one of the two is away.
    """

    def first() -> None:
        if runtime.compared.last:
            # Of two servers one has replaced the other: connections to both would be compared in turn.
            runtime.database.renew()
        # From now on nobody marks what was committed on another.
        runtime.watermark.meet(server)
        compare(runtime)

    runtime.compared.do(server, first)


def on_compared_server(runtime: Runtime, action: Callable[[Connection], T]) -> T:
    """What *action* comes to in a transaction, on a server that was compared. Raises as `compare_once` does."""

    def checked(conn: Connection) -> T:
        server = server_of(conn)
        if not runtime.compared.is_done(server):
            raise Uncompared(server)
        return action(conn)

    while True:
        try:
            return runtime.database.run(checked)
        except Uncompared as exc:
            compare_once(runtime, exc.server)


def _lost_lately(runtime: Runtime, account: str) -> Sequence[Mark]:
    """Lost calls of the newest marks, or else of all since the last look that found none: one may be marked late."""
    if lost := lost_calls(runtime.database, account, newest_marks(runtime, account)).calls:
        return lost
    since = runtime.watermark.since_known(account, others_than(runtime, account))
    with runtime.database.read() as conn:
        lost = history.lost(conn, since.marks, account=account)
    if not lost:
        runtime.watermark.known(since)
    return lost


def _stop(runtime: Runtime, of: str, lately: Sequence[Mark]) -> None:
    account = runtime.accounts[of]
    with runtime.database.read() as conn:
        rows = standing.read(conn, account)
    behind = {row["provider"]: row["paused_at"] for row in rows if row["cause"] == Cause.BEHIND}
    if behind.keys() >= {*account.aliases} and not unknown_to(behind.values(), lately):
        return
    lost = all_lost(runtime, of)
    if lost.calls:
        still = partial(_is_unanswered, lost)
        doubt_lost(runtime, lost, still)
        wanted = Pause(cause=Cause.BEHIND, reason=str(lost), cooldown=None, lost_until=lost.until)
        for alias in account.aliases:
            pause_provider(runtime, alias, wanted, also=standing.former(rows, account.aliases), still=still)
        keep_numbers(runtime, of, still=partial(_is_stopped, account))


def _is_unanswered(lost: Lost, conn: Connection) -> bool:
    """Whether nobody has taken in meanwhile what was lost, and let the account go on for that."""
    return bool(history.lost(conn, lost.calls, account=lost.account))


def _is_stopped(account: Account, conn: Connection) -> bool:
    """Whether the account was not let go on since: what is on its way back by then was asked for after it."""
    return any(row["cause"] == Cause.BEHIND for row in standing.read(conn, account))


def doubt_lost(runtime: Runtime, lost: Lost, still: Callable[[Connection], bool] = always) -> None:
    """What waits for a lost call's number is in doubt: a cancel holds it, and limits count it, also for what was
    released without. And look for no more numbers of orders by criteria: they would be bought beside those whose lines
    are lost.

    Once, as it is found out: who has these go on since has counted. Nothing where it is not *still* lost.
    """
    now = runtime.now()

    def doubt(conn: Connection, numbers: Sequence[str]) -> None:
        if not still(conn):
            return
        history.doubt(conn, account=lost.account, numbers=numbers)
        requeue.take_back_limited(conn, now)

    for chunk in chunks(lost.numbers, CHUNK):
        runtime.database.run(partial(doubt, numbers=chunk))
    if lost.numbers:
        others = [one.alias for one in runtime.providers.values() if one.account != lost.account]
        runtime.database.run(lambda conn: stop_wishes(conn, others, now) if still(conn) else None)


def keep_numbers(
    runtime: Runtime, account: str, *, even_under_way: bool = False, still: Callable[[Connection], bool] = always
) -> None:
    """Give nothing back that was on its way in what the database went back to: it may be what was bought since.

    As it stops, so that an audit sees what is ours; and before it goes on, for what was asked for meanwhile: as long as
    the account is *still* stopped.
    """
    if kept := keep_all(runtime, [account], WENT_BACK, even_under_way=even_under_way, still=still):
        log.warning("the database went back in time: not given back but kept: %s", some_numbers(kept))
