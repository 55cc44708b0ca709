"""What happens to the servers by itself, every two seconds: Redis and the database forget, refuse, or go back in time.

A state (read-only, full, away) lasts for some seconds. A database that goes back is away first; where its server has
no name, for longer than a call that was claimed before may still go out: else nothing is promised.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from redis.exceptions import ReadOnlyError
from sqlalchemy.exc import OperationalError

from tasks.ledger.audit import differences
from tasks.lifecycle import claim
from tasks.releases import stopped_releases
from tasks.restored_database import go_on
from tests.simulation.actors.staff import CLOCK_IS_OFF
from tests.simulation.scheduler.clockwork import MICRO
from tests.simulation.servers.tables import away, called

if TYPE_CHECKING:
    from tests.simulation.servers.broker import Sent
    from tests.simulation.world import World

EVERY = 2.0
LASTS = (1.0, 4.0, 15.0)
RESTORE_TAKES = (4.0, 8.0)
QUICKLY = (0.1, 0.5, 4.0)
"""The same where servers have names."""
REPLACED = "replaced before the mark"
LOSES = "restored to before a call"
CLAIM = called(claim.claim, "claimed")
KEEPS = called(stopped_releases.keep_all)
"""Where an audit has looked at all, and keeps what is on its way back."""
ANOTHER = "another audits meanwhile"
COMPARES, GOES_ON = called(differences.alive), called(go_on.take_in)
"""Where an audit has not taken in yet what is ours, and where it lets the account go on for that."""
LOOKS, APART = 100, 0.25
"""How often, and after how many seconds each, it is looked whether another audit has let its account go on."""
OVER_IT = (0.1, 0.3, 0.6)
"""Seconds for which who has claimed stands still while the server is replaced."""
AT_MOST = 0.9
"""The same for who waits until another has claimed it on the new one: less than an intent is good for."""
SOON = 0.05
"""Seconds between two looks whether that is so."""
KEPT = 0.3
"""The share of rounds in which a copy is put away, of a server that may go back to it."""

STEPS = (-20, -3, 3, 20, 600)
REDIS_STEPS = (-20.0, -3.0, 1.5, 1.5, 20.0)
"""Seconds by which a clock is set."""
STEPPED = 0.1
"""How much more seldom a worker's own clock is set, in a round, than it is off from the start."""

READ_ONLY, FULL = "database is read-only", "database is full"
REDIS_READ_ONLY = "redis is read-only"
STATES = (READ_ONLY, FULL, REDIS_READ_ONLY)


_ANY_BEHIND = "SELECT 1 FROM provider_state WHERE cause = 'database_behind'"
_CALLED_FOR = "SELECT 1 FROM purchase WHERE id = ? AND status = 'purchasing'"
_GOING_BACK = """SELECT 1 FROM number_release r JOIN release_attempt a ON a.release_id = r.id
    WHERE r.status = 'open' AND (r.doubt OR a.outcome IS NULL)"""


class Weather:
    """The states that servers are in, each until a moment of virtual time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("weather")
        self._until: dict[str, float] = {}
        self._gone = self._lags = self._waits = False
        self.loses = False
        """Whether the database is about to go back to before a call that is being made."""
        self.went_back = 0
        """How often the database did, in this world."""
        self._redis_copy: tuple[list[tuple[bytes, bytes]], list[Sent]] | None = None

    def happens(self) -> None:
        """For ever; without faults, nothing more happens."""
        world = self._world
        while True:
            world.clockwork.sleep(EVERY)
            hit = [row["id"] for row in world.judge.all("SELECT id FROM purchase ORDER BY id")]
            for state in STATES:
                if world.faults.happens(state, about=hit):
                    self._until[state] = world.clockwork.seconds() + self._chance.choice(LASTS)
            world.network.gateways.weather(hit)
            world.wishes.sell(hit)
            self._clocks(hit)
            self._redis(hit)
            self._database(hit)

    def before_writing(self) -> None:
        """Raises what a database that is away, or takes no writes, raises at the begin."""
        self.before_reading()
        if self._is(READ_ONLY):
            raise _refused(sqlite3.SQLITE_READONLY, "attempt to write a readonly database")

    def before_reading(self) -> None:
        """Raises what a database that is away raises."""
        if self._gone:
            raise away()

    def at_commit(self) -> None:
        """Raises what a database raises that has no room left."""
        if self._is(FULL):
            raise _refused(sqlite3.SQLITE_FULL, "database or disk is full")

    def before_redis(self, command: str) -> None:
        """Raises what a replica says to who writes, and to each script."""
        if command != "LRANGE" and self._is(REDIS_READ_ONLY):
            raise ReadOnlyError("You can't write against a read only replica.")

    def _is(self, state: str) -> bool:
        world = self._world
        return world.faults.on and self._until.get(state, 0.0) > world.clockwork.seconds()

    def _clocks(self, hit: list[str]) -> None:
        world = self._world
        if world.faults.happens("database's clock is set", about=hit):
            world.clockwork.skew += self._chance.choice(STEPS) * MICRO
            world.idle.clock_was_set()
        for life in world.staff.lives:
            if world.faults.happens(CLOCK_IS_OFF, STEPPED, about=hit):
                world.staff.set_clock(life)
        if world.faults.happens("redis's clock is set", about=hit):
            world.store.set_clock(self._chance.choice(REDIS_STEPS))

    def _redis(self, hit: list[str]) -> None:
        faults, store = self._world.faults, self._world.store
        if faults.rates["redis restored"] and self._chance.random() < KEPT:
            self._redis_copy = store.copy(), self._world.broker.copy()
        restarts = faults.happens("redis starts anew", about=hit)
        if restarts or faults.happens("redis emptied", about=hit):
            store.empty(restarts=restarts)
            self._world.broker.empty()
        if self._redis_copy is not None and faults.happens("redis restored", about=hit):
            keys, messages = self._redis_copy
            store.restore(keys)
            self._world.broker.restore(messages)

    def _database(self, hit: list[str]) -> None:
        world = self._world
        if world.faults.rates["database restored"] and self._chance.random() < KEPT and not (self._lags or self.loses):
            self._copy()
        if not self.loses and not (world.judge.has_copy and world.faults.happens("database restored", about=hit)):
            return
        self.loses = False
        self._gone = True
        world.clockwork.sleep(self._chance.choice(QUICKLY if world.files.named else RESTORE_TAKES))
        self._gone = False
        self._go_back()

    def lags(self, what: str) -> bool:
        """Whether a replica does not come to know of the transaction that begins, and is promoted right after it.

        Or have the database go back to before it in the next round, when the call that it claims was made.
        """
        world = self._world
        if what != CLAIM or self.loses:
            return False
        if world.faults.happens(LOSES):
            self.loses = True
            self._copy()
            return False
        if not (world.files.named and world.faults.happens(REPLACED)):
            return False
        self._copy()
        return True

    def within_an_audit(self, what: str) -> None:
        """Have a replica lag by what an audit takes in, and promote it as that lets an account go on.

        Or have who lets it go on stand still, until another audit has let it go on.
        """
        world, wanted = self._world, GOES_ON if self._lags else COMPARES
        if what == KEEPS and not self._waits and world.faults.happens(ANOTHER):
            self._wait_for_another()
        if what != wanted or not (world.files.named and world.judge.one(_ANY_BEHIND)):
            return
        if world.faults.happens("replaced within an audit"):
            self._lags = not self._lags
            if self._lags:
                self._copy()
            else:
                self._go_back()

    def _wait_for_another(self) -> None:
        """Mostly until an account goes on, and gives a number back: the worst moment to keep that."""
        judge, self._waits = self._world.judge, True
        try:
            for _ in range(LOOKS):
                self._world.clockwork.sleep(APART)
                if judge.one(_GOING_BACK) and not judge.one(_ANY_BEHIND):
                    return
        finally:
            self._waits = False

    def _copy(self) -> None:
        self._world.files.copy()
        self._world.judge.copied()

    def replace(self) -> None:
        """Promote it while the running actor stands still: for some time, or until another has claimed the same."""
        world, me = self._world, self._world.clockwork.me
        hand = me.hand if me is not None else ()
        self._go_back()
        if self._chance.random() < 0.5:
            world.clockwork.sleep(self._chance.choice(OVER_IT))
            return
        until = world.clockwork.seconds() + AT_MOST
        while world.clockwork.seconds() < until and not any(world.judge.one(_CALLED_FOR, one) for one in hand):
            world.clockwork.sleep(SOON)

    def _go_back(self) -> None:
        world = self._world
        self.went_back += 1
        # No server takes over in no time: a call is told from another of its revision by when it ends.
        world.clockwork.now += 1
        world.judge.goes_back()
        world.files.restore()
        world.judge.restored()


def _refused(code: int, words: str) -> OperationalError:
    refused = sqlite3.OperationalError(words)
    refused.sqlite_errorcode = code
    return OperationalError("", {}, refused)
