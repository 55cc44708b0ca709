"""One actor at a time, on virtual time: the seed says who goes on, and time passes only where all wait.

An actor is a thread that holds the baton while it runs. It gives it on at its boundaries (`Clockwork.boundary`), in
sleeps and in waits; code between two boundaries takes no time. A thread, and not a greenlet: code under test keeps what
is a thread's own in `threading.local` and in context variables, and its locks may stay held over a boundary.
"""

from __future__ import annotations

import random
import sys
import threading
from _thread import start_new_thread
from collections.abc import Callable
from dataclasses import dataclass, field

MICRO = 1_000_000

SPINS = 100_000
"""How often the time may be asked for while none passes."""


class Killed(BaseException):
    """The process that an actor belongs to is killed: nothing catches it."""


class Broken(BaseException):
    """A promise does not hold. Code under test cannot catch it."""


class Escaped(BaseException):
    """Code under test left the box: a real thread or socket."""


@dataclass(eq=False)
class Process:
    """What dies together. `skew` is by how many microseconds its clock is off; `older`: of the release before."""

    name: str
    skew: int = 0
    older: bool = False
    actors: list[Actor] = field(default_factory=list)
    dead: bool = False
    mortal: bool = True

    @property
    def gone(self) -> bool:
        return self.dead and all(actor.over for actor in self.actors)


@dataclass(eq=False, slots=True)
class Actor:
    """A thread. `wake` is the microsecond from which it may go on, None until somebody wakes it.

    `hand` are the purchases that it works on, by their ids; `inside` is the transaction that others may see it in.
    """

    name: str
    process: Process
    body: Callable[[], None]
    wake: int | None = 0
    over: bool = False
    busy: int = 0
    hand: tuple[str, ...] = ()
    inside: str = ""
    baton: threading.Lock = field(default_factory=threading.Lock)


class _Mine(threading.local):
    """Whom a thread is; nobody, outside of the box."""

    actor: Actor | None = None


class Clockwork:
    """The scheduler. `seed` decides everything; `trace` is what happened, as (microsecond, actor, words).

    `watch` is a profile function for each actor.
    `skew` is by how many microseconds the database's clock was set; `now` is the time that passed.
    """

    def __init__(self, seed: int, *, steps: int = 400_000) -> None:
        self.rng = random.Random(seed)
        self.now = 0
        self.skew = 0
        self.watch: Callable[..., None] | None = None
        self.steps = 0
        self.trace: list[tuple[int, str, str]] = []
        self.failure: BaseException | None = None
        self.switching = 0.3
        self.ending = False
        self.may_happen: Callable[[Actor, str], float] = lambda _actor, _what: 0.0
        self._limit = steps
        self._asked = 0
        self._actors: list[Actor] = []
        self._mine = _Mine()
        self._main = threading.Lock()
        self._main.acquire()

    @property
    def me(self) -> Actor | None:
        """The actor that runs, None outside of the box."""
        return self._mine.actor

    def seconds(self) -> float:
        """Virtual time since the world began. Raises Broken to who asks for ever and never waits."""
        self._asked += 1
        if self._asked > SPINS:
            raise Broken("somebody waits for a time that never comes, and lets none pass")
        return self.now / MICRO

    def note(self, what: str) -> None:
        """Write down what the running actor does."""
        me = self._mine.actor
        self.trace.append((self.now, me.name if me else "the world", what))

    def spawn(self, name: str, process: Process, body: Callable[[], None]) -> Actor:
        """A new actor of *process*; it begins when the seed says so."""
        actor = Actor(name, process, body, wake=self.now)
        actor.baton.acquire()
        process.actors.append(actor)
        self._actors.append(actor)
        start_new_thread(self._run, (actor,))
        return actor

    def run(self) -> None:
        """Let the actors live until the world ends. Raises what broke."""
        self._hand_over(self._next())
        self._main.acquire()
        self._end_all()
        if self.failure is not None:
            raise self.failure

    def stop(self, failure: BaseException | None = None) -> None:
        """End the world; the first failure counts."""
        self.failure = self.failure or failure
        self.ending = True

    def kill(self, process: Process) -> None:
        """Kill *process*: each of its actors dies where it stands, and its transaction is rolled back."""
        process.dead = True
        for actor in process.actors:
            actor.wake = self.now

    def boundary(self, what: str, *, within: bool = False) -> None:
        """Here the running actor may be killed, be stopped for a while, or let another go on.

        *within* a transaction only where that is one of several at once.
        """
        me = self._living()
        if me is None or (me.busy and not within):
            return
        self.trace.append((self.now, me.name, what))
        stall = self.may_happen(me, what)
        if stall < 0:
            self.note(f"{me.process.name} is killed here")
            self.kill(me.process)
            raise Killed
        if stall > 0:
            self.note(f"stands still for {stall:.1f} s")
            self._pause(self.now + round(stall * MICRO))
        elif self.rng.random() < self.switching:
            self._pause(self.now)

    def sleep(self, seconds: float) -> None:
        """Virtual time passes for the running actor."""
        me = self._living()
        if me is None:
            raise Escaped("a sleep outside of the box")
        if me.busy:
            raise Escaped("a sleep within a transaction")
        self._pause(self.now + max(1, round(seconds * MICRO)))

    def wait(self) -> None:
        """Until `wake`, or the process's death."""
        me = self._living()
        if me is not None and me.busy:
            raise Escaped("a wait within a transaction")
        self._pause(None)

    def stand(self) -> None:
        """Until `wake`, within a transaction: it waits for another's lock."""
        self._pause(None)

    def wake(self, actor: Actor) -> None:
        """Let a waiting actor go on, now."""
        if actor.wake is None or actor.wake > self.now:
            actor.wake = self.now

    def _living(self) -> Actor | None:
        me = self._mine.actor
        if me is not None and (me.process.dead or self.ending):
            raise Killed
        return me

    def _pause(self, until: int | None) -> None:
        me = self.me
        assert me is not None
        self.steps += 1
        if self.steps > self._limit:
            self.stop(Broken(f"the world does not come to its end within {self._limit:,} steps"))
        me.wake = until
        chosen = self._next()
        if chosen is not me:
            self._hand_over(chosen)
            me.baton.acquire()
        self._living()

    def _next(self) -> Actor | None:
        """Who goes on: one of those that may, by the seed; where none may, time passes until the first may."""
        if self.ending:
            return None
        now = self.now
        ready = [actor for actor in self._actors if actor.wake is not None and actor.wake <= now]
        if not ready:
            wakes = [actor.wake for actor in self._actors if actor.wake is not None]
            if not wakes:
                self.stop(Broken("everybody waits for somebody else"))
                return None
            self._asked = 0
            self.now = now = min(wakes)
            ready = [actor for actor in self._actors if actor.wake == now]
        return ready[0] if len(ready) == 1 else ready[self.rng.randrange(len(ready))]

    def _hand_over(self, chosen: Actor | None) -> None:
        (self._main if chosen is None else chosen.baton).release()

    def _run(self, actor: Actor) -> None:
        actor.baton.acquire()
        self._mine.actor = actor
        sys.setprofile(self.watch)
        try:
            if not (actor.process.dead or self.ending):
                actor.body()
        except Killed:
            pass
        except BaseException as exc:
            self.stop(exc)
        actor.over = True
        # In the order of the list, whoever ends when: it is what the seed draws from.
        self._actors.remove(actor)
        self._hand_over(self._next() if not self.ending else None)

    def _end_all(self) -> None:
        """Each actor that is left dies, one after the other."""
        self.ending = True
        for actor in list(self._actors):
            actor.baton.release()
            self._main.acquire()
