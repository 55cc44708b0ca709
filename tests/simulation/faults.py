"""What breaks, each with a rate that the seed draws: every call here may raise, wait, or change what happens.

A new fault is a rate in RATES, and a method that a boundary asks: `happens` draws it and counts it for the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import httpcore

from tasks.sandbox.control import Control
from tests.simulation.scheduler.clockwork import Actor
from tests.simulation.servers.store import gone
from tests.simulation.servers.tables import away
from tests.simulation.themes import ACCOUNTS, BESIDE_A_THEME, ORDERING, SCARCE, theme_of

if TYPE_CHECKING:
    from tests.simulation.world import World

WITHIN = "stands still in a transaction"
WITHIN_RATES = (0.02, 0.1, 0.4)

RATES: dict[str, tuple[float, ...]] = {
    # by boundary; IDLE of it where nothing is in hand
    "killed": (0.0, 0.005, 0.03, 0.1),
    "stands still": (0.0, 0.02, 0.1),
    # by search for a wish, which another one makes meanwhile
    "stands still over a search": (0.0, 0.4),
    # by answer to a purchase
    "stands still with an answer": (0.0, 0.0, 0.05, 0.3),
    # by message
    "message lost": (0.0, 0.05, 0.3),
    "message doubled": (0.0, 0.1, 0.5),
    "message out of order": (0.0, 0.3, 1.0),
    # by transaction
    "database away": (0.0, 0.002, 0.01),
    "commit fails": (0.0, 0.002, 0.02),
    "commit's answer lost": (0.0, 0.005, 0.03),
    # by call
    "redis away": (0.0, 0.002, 0.01),
    "redis answer lost": (0.0, 0.002, 0.01),
    "connection refused": (0.0, 0.02, 0.1),
    "connection takes too long": (0.0, 0.02),
    "reading fails": (0.0, 0.2, 0.8),
    "giving back fails": (0.0, 0.2, 0.6),
    # in a theme alone
    "giving back loses its answer": (0.0,),
    # by number that is given back
    "list shows what is gone": (0.0, 0.0, 0.3, 0.9),
    # by round of the weather, a few seconds each
    "redis emptied": (0.0, 0.02, 0.1),
    "redis starts anew": (0.0, 0.02, 0.1),
    "redis restored": (0.0, 0.0, 0.05),
    "redis is read-only": (0.0, 0.0, 0.03),
    "database is read-only": (0.0, 0.0, 0.03),
    "database is full": (0.0, 0.0, 0.03),
    "database's clock is set": (0.0, 0.0, 0.0, 0.05),
    "redis's clock is set": (0.0, 0.0, 0.0, 0.05),
    # by process that starts, as long as there are faults
    "a worker is of the release before": (0.0, 0.0, 0.0, 0.5),
    # by process that starts, and more seldom by such a round and process
    "a worker's clock is off": (0.0, 0.0, 0.7),
    "database restored": (0.0, 0.0, 0.0, 0.03, 0.1),
    "gateway is down": (0.0, 0.0, 0.05),
    "gateway spoils answers": (0.0, 0.0, 0.05),
    # by number that may be sold, in such a round
    "sold to somebody else": (0.0, 0.3, 0.6),
    # by answer to a purchase
    "gateway loses an answer": (0.0, 0.0, 0.1, 0.5),
    # by purchase call
    "shows after the last look": (0.0, 0.1, 0.4),
    "shows at the last look": (0.0, 0.0, 0.1, 0.4),
    "request arrives late": (0.0, 0.0, 0.03, 0.15),
    "pending for long": (0.0, 0.0, 0.1, 0.5),
    # by number that is held, and was bought
    "a person errs": (0.0, 0.0, 0.0, 0.8),
    # by claim
    "replaced before the mark": (0.0, 0.0, 0.0, 0.05),
    # by claim; in a theme alone
    "restored to before a call": (0.0,),
    # by audit that has not taken in what is ours, and by account that goes on after; in a theme alone
    "replaced within an audit": (0.0,),
    # by audit that is about to let an account go on; in a theme alone
    "another audits meanwhile": (0.0,),
    # by file that is edited; in a theme alone
    "pointed at another account": (0.0,),
    # by batch of events; in a theme alone
    "stands still with what is published": (0.0,),
    # by page that begins with what is in doubt; in a theme alone
    "list shrinks while it is paged": (0.0,),
    # by sleep, for a slot most of all; in a theme alone
    "sleeps too long": (0.0,),
    # by statement; where several write at once alone
    WITHIN: (0.0,),
}
PROVIDER_RATES: dict[str, tuple[float, ...]] = {
    "throttle": (0.0, 0.05, 0.2),
    "refuse": (0.0, 0.05, 0.2),
    "account": (0.0, 0.01),
    "error_before": (0.0, 0.05),
    "error_after": (0.0, 0.1, 0.3),
    "cut_before": (0.0, 0.05),
    "cut_after": (0.0, 0.05, 0.1),
    "silence_before": (0.0, 0.03),
    "silence_after": (0.0, 0.05),
    "drip": (0.0, 0.03),
    "html": (0.0, 0.03),
    "missing_item": (0.0, 0.03),
    "wrong_number": (0.0, 0.03),
    "slow": (0.0, 0.05),
    "late_show": (0.0, 0.1),
}
"""The sandbox's own faults (`tasks/sandbox/faults.py`), by purchase call."""

READING = ("error_before", "cut_before", "silence_before", "html", "throttle")
UNHEARD = ("error_after", "cut_after", "silence_after")
"""What is executed, and its answer says nothing."""
GIVING_BACK: tuple[tuple[str, dict[str, Any]], ...] = (
    *((name, {}) for name in (*UNHEARD, "error_before", "cut_before", "silence_before")),
    *((name, {}) for name in ("html", "throttle", "account", "slow", "drip")),
    *(("status", {"status": status}) for status in (404, 404, 404, 410, 503)),
)
ANSWERS = ((0.001,), (0.05,), (0.001, 0.05, 0.3, 1.2))
"""Seconds until an answer's first byte: a world has one of these."""

STILL = (0.02, 0.1, 0.3, 0.7, 1.5, 4.0, 12.0, 25.0)
"""Seconds for which an actor stands still."""

IN_A_TRANSACTION = (0.0001, 0.002, 0.03, 0.3, 1.0)
"""The same for who has locks: others come to want them meanwhile. Less than the server would allow."""

OVER_A_SEARCH = (8.0, 10.0, 12.0, 20.0)
"""The same for who has found numbers for a wish: its lease lapses, and what another orders meanwhile is bought, or not
yet."""

WITH_AN_ANSWER = (8.0, 12.0, 25.0)
"""The same for who has a purchase's answer: longer than its call may take, so that others settle it meanwhile."""

TOO_LONG = (0.2, 0.4, 0.7)
"""The same for who sleeps until its slot, and misses it: shorter than until its intent is too old to be sent."""

SHOWN_FOR = (0.5, 1.5, 2.8)
"""Seconds for which a list shows what was given back: less than the policy's last look."""

IDLE = 0.02
"""The share of boundaries' rates at which a process dies, or stands still, with nothing in hand."""

POINTS = ("accepted", "released", "taken", "reserved", "claimed", "sending", "answered", "recorded", "published")
POINTS += ("release_taken", "release_claimed", "release_answered", "release_recorded")
POINTS += ("leased", "searched", "ordering", "reserving", "unneeded")
IN_HAND = ("bytes", "connects", "redis reserve", "redis mark")
"""Boundaries at which something is in hand; so are POINTS, and the end of each transaction that writes."""

DELIVERED = (0.0, 0.5, 5.0)
"""Seconds until an order is delivered, where that is later: a world has one of these."""

PENDING = 45.0
"""The same for one that is pending for long: longer than until the last look, and than a restore and its audit take."""

FOR_WHAT_IS_LOST = 8.0
"""So much more often is that so of a call that a restore is about to lose: no list shows it, but of the others."""

AFTER_THE_LAST_LOOK = 30.0

LATE = (0.5, 1.5, 3.0, 4.5, 4.5, 20.0)
"""Seconds for which a request may be on its way."""

BY_THE_LAST_LOOK = 2.5
"""What shows so many seconds after its call's time is over is seen by the last look: that is 3 s after it."""

SENDING = "bytes go out"
"""Between the last look at the clock and the bytes nobody stands still: the README promises no more."""


class Faults:
    """The faults of one world; `counts` is how often each was met, `states` by the status of what it hit."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.chance("faults")
        self._chances = {name: world.chance(name) for name in RATES}
        self.on = True
        theme, kinds = theme_of(world.seed)
        self.kinds = [self._rng.choice(kinds)] if kinds else []
        self.alone = bool(kinds) and (theme, kinds) in SCARCE
        self.theme = theme
        self.edited, self.batched = kinds is ACCOUNTS, kinds is ORDERING
        rest = BESIDE_A_THEME if theme else 1.0
        drawn = {name: self._rng.choice(rates) for name, rates in RATES.items() if any(rates)}
        self.rates = dict.fromkeys(RATES, 0.0) | {name: rest * rate for name, rate in drawn.items()} | theme
        drawn = {name: self._rng.choice(rates) for name, rates in PROVIDER_RATES.items()}
        drawn |= {name: theme[f"provider {name}"] for name in drawn if f"provider {name}" in theme}
        self.provider = {name: rate for name, rate in drawn.items() if f"provider {name}" not in world.without}
        self.counts: Counter[str] = Counter()
        self.states: Counter[tuple[str, str]] = Counter()
        self._hit: list[tuple[str, Sequence[str]]] = []
        self._drawn: Counter[str] = Counter()
        self._remembers = self._rng.random() < 0.7
        self._answers = self._rng.choice(ANSWERS)
        self._delivered = self._rng.choice(DELIVERED)

    @property
    def drawn(self) -> frozenset[str]:
        """The faults that may be met in this world, the sandbox's among them."""
        own = {name for name in RATES if self.rates[name] and name not in self._world.without}
        return frozenset(own | {f"provider {name}" for name, rate in self.provider.items() if rate})

    def happens(self, name: str, share: float = 1.0, about: Sequence[str] | None = None) -> bool:
        """Whether the fault is met now; *about* are the purchases it hits, where not those in hand."""
        rate, left_out = self.rates[name] * share, self._world.without
        if not (rate and self.on) or name in left_out or self._chances[name].random() >= rate:
            return False
        self._drawn[name] += 1
        if f"{name}#{self._drawn[name]}" in left_out:
            return False
        self.met(name, about)
        return True

    def met(self, name: str, about: Sequence[str] | None = None) -> None:
        """Count it."""
        me = self._world.clockwork.me
        hit = about if about is not None else me.hand if me else ()
        self.counts[name] += 1
        self._hit.append((name, hit))
        self._world.clockwork.note(f"FAULT: {name}")
        if me is None or not me.busy:
            self.count_states()

    def count_states(self) -> None:
        """Count what was hit by its status: after a transaction, within which nobody looks."""
        for name, hit in self._hit:
            self.states.update((name, status) for status in self._world.judge.statuses(hit))
        self._hit.clear()

    def at_boundary(self, actor: Actor, what: str) -> float:
        """Seconds that *actor* stands still here; below 0: its process is killed."""
        if not actor.process.mortal:
            return 0.0
        share = 1.0 if what in POINTS or what.startswith(IN_HAND) or what.endswith(": written") else IDLE
        if self.happens("killed", share):
            return -1.0
        if actor.busy:
            return self._chances[WITHIN].choice(IN_A_TRANSACTION) if self.happens(WITHIN) else 0.0
        if what == "searched" and self.happens("stands still over a search"):
            return self._rng.choice(OVER_A_SEARCH)
        if what == "answered" and self.happens("stands still with an answer"):
            return self._rng.choice(WITH_AN_ANSWER)
        if what == "published" and self.happens("stands still with what is published"):
            return self._rng.choice(WITH_AN_ANSWER)
        if what != SENDING and self.happens("stands still", share):
            return self._rng.choice(STILL)
        return 0.0

    def sleep(self, seconds: float) -> None:
        """What `Runtime.sleep` is."""
        self._world.clockwork.sleep(seconds)
        if self.happens("sleeps too long"):
            self._world.clockwork.sleep(self._rng.choice(TOO_LONG))

    def database_before(self, *, writes: bool) -> None:
        if writes:
            self._world.weather.before_writing()
        self._world.weather.before_reading()
        if self.happens("database away"):
            raise away()

    def database_at_commit(self) -> None:
        self._world.weather.at_commit()
        if self.happens("commit fails"):
            raise away()

    def database_after(self) -> None:
        if self.happens("commit's answer lost"):
            self._world.judge.after_commit()
            raise away()

    def redis_before(self, command: str) -> None:
        self._world.weather.before_redis(command)
        if self.happens("redis away"):
            raise gone()

    def redis_after(self) -> None:
        if self.happens("redis answer lost"):
            raise gone()

    def connecting(self, timeout: float) -> None:
        if self.happens("connection refused"):
            raise httpcore.ConnectError("connection refused")
        if self.happens("connection takes too long"):
            self._world.clockwork.sleep(timeout)
            raise httpcore.ConnectTimeout("no connection in time")

    def reading(self, control: Control, kind: str) -> None:
        if self.happens("reading fails"):
            control.plan(kind, self._rng.choice(READING), on="read")

    def giving_back(self, control: Control, kind: str) -> None:
        if self.happens("giving back loses its answer"):
            control.plan(kind, self._rng.choice(UNHEARD), on="release")
        elif self.happens("giving back fails"):
            name, params = self._rng.choice(GIVING_BACK)
            control.plan(kind, name, on="release", **params)

    def shows_gone_for(self, late: float = 0.0) -> float:
        """Seconds for which lists show what is given back now; less for a request that is *late*, as looks go on."""
        shown = self._rng.choice(SHOWN_FOR) if self.happens("list shows what is gone") else 0.0
        return max(0.0, min(shown, self._world.by_the_last_look - late))

    def buying(self, control: Control, kind: str, said: str) -> bool:
        """Whether this purchase shows after the last look: the README promises nothing then, and the judge is told.

        What a provider sold before and does not show yet, it may refuse to sell again.
        """
        for sold_at, number in sorted(self._world.judge.unseen):
            if self.on and self._remembers and sold_at.partition("/")[0] == kind and number.removeprefix("+") in said:
                control.plan(kind, "refuse", number=number)
                return False
        if not self._world.can_look(kind):
            return False
        if not self.happens("shows after the last look"):
            if self.happens("shows at the last look"):
                control.plan(kind, "late_show", seconds=self._world.by_the_last_look)
            return False
        control.plan(kind, "late_show", seconds=AFTER_THE_LAST_LOOK)
        return True

    def delivered_in(self) -> float:
        """Seconds until what is bought now is delivered."""
        share = FOR_WHAT_IS_LOST if self._world.weather.loses else 1.0
        return PENDING if self.happens("pending for long", share) else self._delivered

    def arrives_late(self) -> float:
        """Seconds until this purchase request is at the provider, whose sender will hear nothing; 0: at once."""
        return self._rng.choice(LATE) if self.happens("request arrives late") else 0.0

    def on_the_way(self, kind: str) -> float:
        """Seconds until a call is in the provider's log: what the pace allows for."""
        return self._rng.random() * self._world.config.providers[kind].policy.rate_guard / 2

    def answer_takes(self) -> float:
        """Seconds until an answer's first byte."""
        return self._rng.choice(self._answers)
