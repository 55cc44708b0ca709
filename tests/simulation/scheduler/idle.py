"""Timers skip what could find nothing: most of a world's time would go into it, and few of its faults.

By the committed rows: what is due, and whether anything has moved since the same process found nothing. Not always: now
and then it is asked all the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from schemas.status import UNSETTLED
from tasks import orders
from tasks.ledger.orders.cancelled import STOPPABLE
from tasks.lifecycle import give_back, release_and_sweep
from tasks.restored_database import detect
from tests.simulation.scheduler.box import wall_clock
from tests.simulation.scheduler.clockwork import MICRO, Actor, Process

if TYPE_CHECKING:
    from tests.simulation.world import World

LONGEST_REST = 5.0
"""Seconds after which a timer ticks all the same: a relay's lease lapses after ten."""

ALL_THE_SAME = 0.03

FOUND_NOTHING = 2.0
"""Seconds after which a question that found nothing may find something though no row has moved: the pace has room."""

_RUNNING = "status IN ('dispatched', 'purchasing')"
_DOUBTFUL = "status IN ('unknown', 'processing')"
_TO_BUY = """SELECT min(max(due_at, coalesce((
    SELECT coalesce(probe_at, '9999-01-01') FROM provider_state s
    WHERE s.provider = p.provider AND paused_at IS NOT NULL
), ''))) FROM purchase p WHERE status = 'queued'"""
_DUE = {
    "release": _TO_BUY,
    "sweep": f"SELECT min(due_at) FROM purchase WHERE {_RUNNING} OR {_DOUBTFUL}",
    "give-back": "SELECT min(due_at) FROM number_release WHERE status = 'open'",
    "wishes": "SELECT min(next_run_at) FROM order_wish WHERE state = 'open'",
    "reservations": "SELECT min(next_look_at) FROM order_wish_reservation",
    "relay": "SELECT min('') FROM outbox_event WHERE published_at IS NULL",
    "pools": "SELECT min('') FROM pool_number n JOIN purchase p ON p.id = n.purchase_id "
    "WHERE n.status = 'ordered' AND p.due_at IS NULL AND p.status <> 'held'",
}
"""When a timer has something to do by the rows; '' is at once."""
_UNSETTLED = ", ".join(f"'{status}'" for status in sorted(UNSETTLED))
_STOPPABLE = ", ".join(f"'{status}'" for status in sorted(STOPPABLE))
_ORDERS = f"""SELECT '' FROM purchase_order o WHERE
    status IN ('loading', 'open') AND cancel_requested_at IS NOT NULL AND (status = 'loading' OR EXISTS (
        SELECT 1 FROM purchase WHERE order_id = o.id AND cancel_requested_at IS NULL AND status IN ({_STOPPABLE})))
    OR status = 'open' AND max_purchases IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM purchase WHERE order_id = o.id AND ({_RUNNING} OR {_DOUBTFUL}))
    OR status = 'open' AND NOT EXISTS (SELECT 1 FROM order_wish WHERE order_id = o.id AND state = 'open')
        AND NOT EXISTS (SELECT 1 FROM purchase WHERE order_id = o.id AND status IN ({_UNSETTLED}))
        AND NOT EXISTS (SELECT 1 FROM purchase_order_line l JOIN purchase p ON p.id = l.purchase_id
            WHERE l.order_id = o.id AND p.status IN ({_UNSETTLED}))
    LIMIT 1"""
_OF = "SELECT min(due_at) FROM purchase WHERE provider = ?1 AND"
_RELEASED = f"""SELECT max(due, coalesce((
    SELECT coalesce(probe_at, '9999-01-01') FROM provider_state WHERE provider = ?1 AND paused_at IS NOT NULL
), '')) FROM (SELECT ({_OF} status = 'queued') AS due)"""
_GOING_BACK = """SELECT min(r.due_at) FROM number_release r JOIN purchase p ON p.id = r.purchase_id
    WHERE r.status = 'open' AND p.provider = ?1"""
_ASKED = {
    (give_back, "is_due"): _GOING_BACK,
    (release_and_sweep, "release_due"): _RELEASED,
    (release_and_sweep, "sweep_provider"): f"{_OF} {_RUNNING}",
    (release_and_sweep, "look_due"): f"{_OF} {_DOUBTFUL}",
    (release_and_sweep, "sweep_strangers"): f"SELECT min(due_at) FROM purchase WHERE {_RUNNING}",
    (orders, "complete_finished"): _ORDERS,
    (release_and_sweep, "release_all"): _TO_BUY,
    (release_and_sweep, "sweep_all"): f"SELECT min(due_at) FROM purchase WHERE {_RUNNING}",
    (release_and_sweep, "look_all"): f"SELECT min(due_at) FROM purchase WHERE {_DOUBTFUL}",
}


class Idle:
    """Where timers rest between two ticks: until something may be due, by the rows as they are after each commit."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._resting: dict[Actor, tuple[str, int]] = {}
        self._stand: dict[str, Any] = {}
        self._moved: object = None
        self._nothing: dict[tuple[Process, str, tuple[str, ...]], tuple[object, float]] = {}

    def rest(self, timer: str, seconds: float) -> None:
        """Until *timer* may find something, its *seconds* at the least."""
        clockwork = self._world.clockwork
        me = clockwork.me
        assert me is not None
        tick = clockwork.now + round(seconds * MICRO)
        end = clockwork.now + round(max(seconds, LONGEST_REST) * MICRO)
        self._resting[me] = timer, tick
        try:
            clockwork.sleep((min(end, max(tick, self._due(timer))) - clockwork.now) / MICRO)
        finally:
            self._resting.pop(me, None)

    def clock_was_set(self) -> None:
        """What is due by the rows is due at another moment now: nobody rests on what was known before."""
        self._moved = None
        self._nothing.clear()
        self.stir()

    def stir(self) -> None:
        """Something was committed: who rests goes on earlier where something is due earlier."""
        if self._moved == self._world.files.moved:
            return
        self._moved = self._world.files.moved
        self._stand = self._world.judge.stands.look().waiting
        due: dict[str, float] = {}
        for actor, (timer, tick) in self._resting.items():
            if actor.wake is not None and actor.wake > tick:
                if timer not in due:
                    due[timer] = self._due(timer)
                actor.wake = int(min(actor.wake, max(tick, due[timer])))

    def _due(self, timer: str) -> float:
        """The microsecond from which *timer* may find something; infinity where it waits for a commit."""
        judge, now = self._world.judge, self._world.clockwork.now
        if timer not in _DUE:
            return now
        if timer == "sweep" and judge.one(_ORDERS) is not None:
            return now
        return now + self._left(judge.one(_DUE[timer]))

    def _left(self, due: str | None) -> float:
        """Microseconds until *due*, a time of a row: 0 where it has come, infinity where there is none."""
        if due is None:
            return math.inf
        if not due:
            return 0
        left = datetime.fromisoformat(due).replace(tzinfo=UTC) - wall_clock(self._world.clockwork)
        return max(0.0, left.total_seconds() * MICRO)

    @contextmanager
    def skipping(self) -> Iterator[None]:
        """Each timer's questions are asked only of providers that have something due."""
        with ExitStack() as stack:
            for (module, name), query in _ASKED.items():
                stack.enter_context(patch.object(module, name, self._if_due(getattr(module, name), query)))
            compare = self._if_restored(detect.compare)
            stack.enter_context(patch.object(detect, "compare", compare))
            yield

    def _if_restored(self, compare: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """Nothing is lost before a database was restored."""

        def skip(runtime: Any) -> bool:
            world = self._world
            restored = world.weather.went_back or world.clockwork.rng.random() < ALL_THE_SAME
            return compare(runtime) if restored else False

        return skip

    def _if_due(self, ask: Callable[..., int], query: str) -> Callable[..., int]:
        def skip(runtime: Any, *bindings: Any) -> int:
            clockwork, stood = self._world.clockwork, {}
            for given in [(one.alias,) for one in bindings] or [()]:
                if not self._finds_nothing(ask, given, query) or clockwork.rng.random() < ALL_THE_SAME:
                    stood[given] = self._stood(given)
            if not stood:
                return 0
            found = ask(runtime, *(one for one in bindings if (one.alias,) in stood))
            if not found:
                for given, before in stood.items():
                    self._nothing[self._place(ask, given)] = before, clockwork.seconds() + FOUND_NOTHING
            return found

        return skip

    def _finds_nothing(self, ask: Callable[..., int], given: tuple[str, ...], query: str) -> bool:
        stood, until = self._nothing.get(self._place(ask, given), (None, 0.0))
        if stood == self._stood(given) and self._world.clockwork.seconds() < until:
            return True
        return self._left(self._world.judge.one(query, *given)) > 0

    def _stood(self, given: tuple[str, ...]) -> object:
        return self._stand.get(given[0]) if given else self._stand

    def _place(self, ask: Callable[..., int], given: tuple[str, ...]) -> tuple[Process, str, tuple[str, ...]]:
        me = self._world.clockwork.me
        assert me is not None
        return me.process, ask.__name__, given
