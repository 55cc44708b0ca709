"""The claim of purchases before their call: on a database that knows what was bought before, and marked outside it."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from itertools import chain

from redis.exceptions import RedisError
from sqlalchemy import Connection

from tasks.ledger.calls import intents
from tasks.ledger.calls.intents import Claim, Wanted
from tasks.ledger.history import Unvouched, WentBack, vouch_all
from tasks.ledger.rows import some_numbers
from tasks.policies.backoff import call_length
from tasks.restored_database import detect, lost_calls
from tasks.runtime import Binding, Runtime
from tasks.server_errors import explained
from tasks.watermark import Mark, Newest, Replaced, Watermark

log = logging.getLogger(__name__)

Now = Callable[[], datetime]
Claims = list[Claim | None]
Read = Mapping[str, Newest]
Known = tuple[Wanted, Read]
Found = Sequence[Claim | Unvouched | WentBack | None]
Claiming = Callable[[Connection, Sequence[Known]], Found]
Marking = Callable[[Found], Found]


def claim(runtime: Runtime, binding: Binding, items: Sequence[Wanted]) -> Claims:
    """Claim dispatched purchases, and mark the intents once they are committed.

    Returns None for a purchase that has moved on, and for all where the database has lost what was bought before.
    A claim that could not be marked says so. Raises redis.RedisError where Redis is away and has to be asked.
    """
    claiming = _claiming(runtime.now, call_length(binding.policy))
    marking = _marking(runtime.watermark, runtime.database.renew)
    neighbours = runtime.neighbours[binding.account]
    look = _looks[neighbours[0]]

    def claimed(newest: Read) -> Claims:
        return _claimed(runtime.database.transact(claiming, [(one, newest) for one in items], marking))

    try:
        while True:
            done = look.done
            try:
                return claimed({})
            except Unvouched as exc:
                server = exc.server
            # What several accounts share may count a call that was lost of another one.
            detect.compare_once(runtime, server)
            # Outside of any transaction: Redis may take its time.
            with look.turn(done, server, partial(lost_calls.look, runtime, neighbours)) as (newest, mine):
                try:
                    if newest is not None:
                        return claimed(newest)
                except Unvouched:
                    # Of two servers one has replaced the other.
                    if mine:
                        runtime.database.renew()
    except WentBack as exc:
        log.warning("%d purchases wait: %s", len(items), exc)
        detect.compare(runtime)
        return [None] * len(items)


@dataclass
class _Look:
    """One thread at a time reads the newest marks; who met the same meanwhile claims by what that one found.

    `applied` is whether that one's own claim is over, `done` how many are, `server` what they were read for.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    done: int = 0
    applied: bool = True
    server: str = ""
    newest: Read | None = None

    @contextmanager
    def turn(self, done: int, server: str, read: Callable[[str], Read]) -> Iterator[tuple[Read | None, bool]]:
        """The marks to claim by, and whether they were read for this. *done* is what was there before.

        What another one read is good for the *server* that it names. Of one without a name nobody goes by it: it may
        have been replaced since, with the calls in between. Then it is None where another one was quicker.
        """
        with ExitStack() as held:
            held.enter_context(self.lock)
            mine = self.done == done and (self.applied or self.server != server)
            if mine:
                self.newest = read(server)
                self.server, self.applied = server, False
            known = self.newest if mine or (server and server == self.server) else None
            if server:
                held.close()
            try:
                yield known, mine
            finally:
                if mine:
                    self.done += 1
                    self.applied = True


_looks: defaultdict[str, _Look] = defaultdict(_Look)


@cache
def _claiming(now: Now, seconds: float) -> Claiming:
    """Made once: what threads claim at the same time is claimed together, whichever accounts it is of.

    Each comes with the newest marks of its account, and of the neighbours, once they were read.
    """

    def claiming(conn: Connection, wanted: Sequence[Known]) -> Found:
        # Others share the transaction: raised, what is against one account would roll back all.
        unread = vouch_all(conn, [(one.account, None) for one, newest in wanted if one.account not in newest])
        problems = vouch_all(conn, chain.from_iterable(newest.items() for _, newest in wanted))
        against = [(problems if one.account in newest else unread).get(one.account) for one, newest in wanted]
        known = [one for (one, _), problem in zip(wanted, against, strict=True) if problem is None]
        claims = iter(intents.claim(conn, known, now(), seconds) if known else ())
        return [next(claims) if problem is None else problem for problem in against]

    return claiming


def _claimed(found: Found) -> Claims:
    """The claims. Raises Unvouched and WentBack where none could be made for that."""
    claims = []
    for one in found:
        if isinstance(one, Unvouched | WentBack):
            raise one
        claims.append(one)
    return claims


@cache
def _marking(watermark: Watermark, renew: Callable[[], None]) -> Marking:
    """Marks what was committed together, on one server, by one write to Redis."""

    def marking(claims: Found) -> Found:
        made = [one for one in claims if isinstance(one, Claim)]
        why = ""
        try:
            _write_marks(watermark, made)
        except RedisError as exc:
            why = f"Redis {explained(exc)}"
        except Replaced:
            renew()
            why = "the database's server has been replaced"
        if why:
            numbers = some_numbers([one.row for one in made])
            log.warning("no call is made for %s, intents cannot be marked: %s", numbers, why)
            return claims
        return [replace(one, marked=True) if isinstance(one, Claim) else one for one in claims]

    return marking


def _write_marks(watermark: Watermark, claims: Sequence[Claim]) -> None:
    """Raises RedisError, and Replaced."""
    marks: dict[str, list[Mark]] = {}
    for one in claims:
        marks.setdefault(one.row["account"], []).append(_mark(one))
    if claims:
        watermark.write(marks, claims[0].server)


def _mark(claimed: Claim) -> Mark:
    row = claimed.row
    return Mark(
        purchase_id=row["id"],
        revision=row["revision"],
        number=row["number"],
        pool=row["pool"],
        started_at=claimed.started_at,
        deadline=claimed.deadline,
        reference=claimed.reference,
    )
