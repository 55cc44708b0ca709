"""Several writers at once on PostgreSQL: each transaction on a connection of its own, and one statement at a time.

A statement that waits for another's lock stands still, with its server process (SIGSTOP), and its actor is not chosen
until the lock is its own. So no two server processes ever run at the same time: who is let go by the end of a
transaction goes on as far as it comes, in the order in which they began to wait, before the next actor is chosen.
Nobody waits for real time: a statement that closes a circle is told of a deadlock by us, at once.
"""

from __future__ import annotations

import os
import random
import select
import signal
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.waiting import Ready, Wait
from sqlalchemy import Connection, Engine, event

from tasks.transactions import SERVER
from tests.simulation.scheduler.clockwork import MICRO, Actor, Clockwork, Killed
from workers.database.answering import AnsweringConnection

WAITS, DEADLOCK = "waits for a lock", "deadlock"
"""What is counted."""

FIRST_LOOK, LONGEST_LOOK = 1, 16
"""Milliseconds of real time without an answer, after which the server is asked whether it waits for a lock."""

_STATE = """SELECT CASE WHEN wait_event_type = 'Lock' AND pg_blocking_pids(pid) <> '{}' THEN 'waits'
    WHEN state = 'active' THEN 'runs' ELSE 'done' END FROM pg_stat_get_activity(%s)"""
_BLOCKED_BY = "SELECT pid, pg_blocking_pids(pid) FROM unnest(%s::int[]) AS one (pid)"

_IS_THERE = "SELECT pg_sleep(0.001) FROM pg_stat_get_activity(%s)"


class Session(AnsweringConnection):
    """A connection of one of the world's processes."""

    writers: Writers | None = None
    socket = -1
    holder = ""
    """Whose transaction it had last."""
    gives_way = False
    """Whether its statement was cancelled, and is told of a deadlock."""

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """What *gen* returns; meanwhile, where it waits for a lock, others go on."""
        if self.writers is None:
            return super().wait(gen, *args, **kwargs)
        # Raises where it was lost, before the driver begins.
        self.socket = self.pgconn.socket
        try:
            wanted = next(gen)
            while True:
                wanted = gen.send(self._ready(wanted))
        except StopIteration as done:
            self.heard = self.writers.clockwork.now / MICRO
            return done.value
        except Killed:
            # The server process is gone: so the driver comes to its end, too.
            with suppress(psycopg.Error, StopIteration):
                while True:
                    gen.send(Ready.R)
            raise
        except psycopg.errors.QueryCanceled as exc:
            if not self.gives_way:
                raise
            self.gives_way = False
            raise psycopg.errors.DeadlockDetected("deadlock detected") from exc
        finally:
            self.writers.let_go()

    @property
    def number(self) -> int:
        """Of its server process."""
        return self.pgconn.backend_pid

    def has_answer(self, milliseconds: int, wanted: int = Wait.R) -> int:
        """What of *wanted* the socket is ready for, within so many *milliseconds*."""
        poll, asked = select.poll(), select.POLLIN if wanted & Wait.R else 0
        poll.register(self.socket, asked | (select.POLLOUT if wanted & Wait.W else 0))
        found = 0
        for _, happened in poll.poll(milliseconds):
            # What is broken is found out by reading it.
            found |= Ready.R if happened & ~select.POLLOUT else 0
            found |= Ready.W if happened & select.POLLOUT else 0
        return found

    def _ready(self, wanted: int) -> int:
        assert self.writers is not None
        look = FIRST_LOOK
        while not (found := self.has_answer(look, wanted)):
            if self.writers.state(self) == "waits":
                self.writers.stand(self)
            look = min(2 * look, LONGEST_LOOK)
        return found


class Writers:
    """Who has a connection, and who of them waits for a lock. *admin* is one of the judges' own."""

    clockwork: Clockwork

    def __init__(self, admin: psycopg.Connection[Any]) -> None:
        self._admin = admin
        self._sessions: list[Session] = []
        self._ended: list[Session] = []
        self._standing: dict[Session, Actor] = {}
        self._shared, self._name = False, ""
        self.met = Counter[str]()

    def begin(self, clockwork: Clockwork, server: str) -> None:
        """Another world; *server* tells its server from another."""
        self.clockwork, self._shared, self._name = clockwork, True, server
        self.met.clear()

    def serve(self, engine: Engine) -> None:
        """Have *engine* make such connections, and its actors give way between two statements."""
        event.listen(engine, "connect", self._configure)
        event.listen(engine, "before_cursor_execute", self._give_way)

    def _configure(self, session: Any, record: Any) -> None:
        """No real time ends anything, and chance is the seed's."""
        if not self._shared:
            return
        # What makes a connection comes first, and is production's.
        session.__class__ = Session
        self._sessions.append(session)
        for begin in ("begin", "begin_reading"):
            record.info[begin] += "; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
        record.info[SERVER] = self._name
        session.execute("SELECT setseed(%s), set_config('deadlock_timeout', '1h', false)", [random.random()])
        session.commit()
        session.writers = self

    def _give_way(self, conn: Connection, *_: Any) -> None:
        session = conn.connection.dbapi_connection
        if not isinstance(session, Session) or session.writers is None:
            return
        me = self.clockwork.me
        if me is None or not me.inside:
            return
        session.holder = f"{me.name}'s {me.inside}"
        # What is killed rolls back, and that may take statements.
        if session.pgconn.transaction_status == TransactionStatus.INTRANS and not me.process.dead:
            self.clockwork.boundary(f"between two statements of {me.inside}", within=True)

    def state(self, session: Session) -> str:
        """What its server process does: it `waits` for a lock, `runs`, or is `done`."""
        found = self._admin.execute(_STATE, [session.number]).fetchone()
        return found[0] if found else "done"

    def stand(self, session: Session) -> None:
        """Until the lock is its own; or there is to be an answer, for a circle was closed. Raises Killed."""
        me = self.clockwork.me
        assert me is not None
        if self._breaks_a_circle(session):
            return
        self._count(WAITS, f"{WAITS} of {self._whose(session)}")
        os.kill(session.number, signal.SIGSTOP)
        self._standing[session] = me
        try:
            self.clockwork.stand()
        except Killed:
            self._drop(session)
            self._standing.pop(session, None)
            raise

    def let_go(self) -> None:
        """Have all who wait no longer go on, one after the other, as far as they come."""
        while self._standing:
            stuck = self._blocked_by()
            free = next((session for session in self._standing if not stuck[session.number]), None)
            if free is None:
                return
            self._go_on(free)

    def end_all(self, server: str) -> None:
        """The server is replaced by *server*: nobody's connection outlives that."""
        self._name = server
        for session in [one for one in self._sessions if not one.closed]:
            self._drop(session)
        for actor in self._standing.values():
            self.clockwork.wake(actor)
        self._ended += self._sessions
        self._sessions.clear()
        self._standing.clear()

    def close_all(self) -> None:
        """The world is over."""
        self._shared = False
        for session in self._standing:
            os.kill(session.number, signal.SIGCONT)
        for session in (*self._sessions, *self._ended):
            session.close()
        self._sessions.clear()
        self._ended.clear()
        self._standing.clear()

    def _go_on(self, session: Session) -> None:
        """Until its statement is over, or waits for the next lock."""
        os.kill(session.number, signal.SIGCONT)
        while (state := self.state(session)) != "done":
            if state == "waits" and not self._breaks_a_circle(session):
                os.kill(session.number, signal.SIGSTOP)
                return
            session.has_answer(FIRST_LOOK)
        self.clockwork.wake(self._standing.pop(session))

    def _drop(self, session: Session) -> None:
        """End its server process, and see it gone: its locks are free then."""
        self._admin.execute("SELECT pg_terminate_backend(%s)", [session.number])
        if session in self._standing:
            os.kill(session.number, signal.SIGCONT)
        while self._admin.execute(_IS_THERE, [session.number]).fetchone():
            pass

    def _breaks_a_circle(self, session: Session) -> bool:
        """Whether *session*, the last that began to wait, closed a circle; its statement is cancelled then."""
        if session.gives_way:
            return True
        edges, reached = self._blocked_by(session), [session.number]
        for one in reached:
            reached += [other for other in edges.get(one, ()) if other not in reached]
            if session.number in edges.get(one, ()):
                self._count(DEADLOCK, f"closes a circle with {self._whose(session)}: {DEADLOCK}")
                session.gives_way = True
                self._admin.execute("SELECT pg_cancel_backend(%s)", [session.number])
                return True
        return False

    def _blocked_by(self, *more: Session) -> dict[int, list[int]]:
        """By the number of each server process that stands, and of *more*: those for which it waits."""
        numbers = [session.number for session in (*self._standing, *more)]
        return dict(self._admin.execute(_BLOCKED_BY, [numbers]).fetchall())

    def _whose(self, session: Session) -> str:
        by = self._blocked_by(session)[session.number]
        return " and ".join(sorted(one.holder for one in self._sessions if not one.closed and one.number in by))

    def _count(self, what: str, words: str) -> None:
        self.met[what] += 1
        self.clockwork.note(words)
