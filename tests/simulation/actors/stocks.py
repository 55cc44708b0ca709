"""A world's pool: its configuration, the beat that has it topped up, those who take numbers from it, and its judge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from schemas.config.pools import PoolConfig
from schemas.status import DEAD
from tasks.ledger.orders import cancel
from tasks.messages.celery_tasks import REPLENISH
from tasks.messages.public_names import RETURN_NUMBER, TAKE_NUMBER
from tasks.providers.registry import kinds
from tasks.runtime import Message
from tests.simulation.scheduler.clockwork import Broken
from workers.periodic.beat_schedule import POOL_TICK, PUBLIC_QUEUE

if TYPE_CHECKING:
    from tests.simulation.world import World

POOL = "stock"
SHARE = 0.5
"""The share of worlds that have a pool, where a provider can be searched."""
PATIENCE = 12.0
"""Seconds until a request that was not answered is sent again."""
LATER = 1.0
"""How many that were sent before are sent once more at each round, answered or not."""

_DEAD = ", ".join(f"'{status}'" for status in sorted(DEAD))
_LEVEL = f"""SELECT count(*) FROM pool_number n LEFT JOIN purchase p ON p.id = n.purchase_id
    WHERE n.status = 'available' OR n.status = 'ordered' AND p.status NOT IN ({_DEAD})"""
_UNSETTLED = f"""SELECT n.number FROM pool_number n JOIN purchase p ON p.id = n.purchase_id
    WHERE n.status = 'ordered' AND p.status IN ('purchased', {_DEAD})"""
_POOLED = f"SELECT 1 FROM purchase WHERE provider = ? AND number = ? AND pool IS NOT NULL AND status NOT IN ({_DEAD})"
_WAITS = "SELECT id FROM purchase WHERE pool IS NOT NULL AND status = 'queued' ORDER BY id"


def draw(rng: Any, at: list[str]) -> dict[str, PoolConfig]:
    """A pool at some of the providers, or none."""
    searched = [kind for kind in at if kinds()[kind].searches]
    if not searched or rng.random() >= SHARE:
        return {}
    target = rng.choice((2, 4, 8))
    some = tuple(rng.sample(searched, rng.randint(1, len(searched))))
    limit = rng.choice((0, max(1, target // 2), target, target + 3))
    runs = {"schedule": "10s", "max_per_run": rng.choice((2, 100)), "daily_limit": limit}
    return {POOL: PoolConfig(providers=some, prefix="415", low=rng.randint(1, target), target=target, **runs)}


def beat(world: World) -> None:
    """What Celery beat sends for the pool, for ever."""
    while True:
        world.broker.post(Message(task=REPLENISH, queue=PUBLIC_QUEUE, kwargs={"pool": POOL}))
        world.clockwork.sleep(POOL_TICK)


def taker(world: World) -> None:
    """Takes numbers and gives them back, each request until it is answered, and now and then once more."""
    rng, sent = world.chance("taker"), dict[str, tuple[Message, float]]()
    while True:
        world.clockwork.sleep(rng.choice((0.3, 1.0, 3.0)))
        now = world.clockwork.seconds()
        answered = world.stocks.answered()
        again = [key for key in sent if key not in answered and now - sent[key][1] > PATIENCE]
        if world.faults.on:
            again += [key for key in sent if rng.random() < LATER / len(sent)]
            # Mostly where there is something to take, or to give back.
            if world.stocks.moves() or rng.random() < 0.1:
                message = _take(world, rng, len(sent)) if rng.random() < 0.7 else _return(world, rng, len(sent))
                sent[message.kwargs["request_id"]] = message, now
                again += [message.kwargs["request_id"]]
        for key in again:
            sent[key] = sent[key][0], now
            world.broker.post(sent[key][0], key)
        world.stocks.waiting = [key for key in sent if key not in answered]


def _take(world: World, rng: Any, number: int) -> Message:
    asked = {"count": rng.choice((1, 1, 2, 3)), "taker": f"taker-{rng.randint(1, 3)}"}
    return Message(task=TAKE_NUMBER, queue=PUBLIC_QUEUE, kwargs={"pool": POOL, "request_id": f"take-{number}", **asked})


def _return(world: World, rng: Any, number: int) -> Message:
    """Mostly of a number that is taken, and by whoever took it; else of any."""
    taken = world.stocks.taken
    of = rng.choice(sorted(taken)) if taken else "+14155000000"
    by = taken.get(of, "taker-1") if rng.random() < 0.8 else "taker-2"
    asked = {"number": of, "taker": by, "request_id": f"return-{number}"}
    return Message(task=RETURN_NUMBER, queue=PUBLIC_QUEUE, kwargs={"pool": POOL, **asked})


class Stocks:
    """The pool's judge, asked after each commit. `taken` is who has which number, by the answers that were given."""

    def __init__(self, world: World, pools: dict[str, PoolConfig]) -> None:
        self._world = world
        self.pool = pools.get(POOL)
        self.taken: dict[str, str | None] = {}
        self.waiting: list[str] = []
        self._told = self._runs = 0
        self._moved: object = None
        self._bought: set[tuple[str, str]] = set()

    def answered(self) -> set[str]:
        """The requests that were answered, or rejected."""
        found = {key for (key,) in self._world.judge.all("SELECT request_id FROM pool_request")}
        rejected = self._world.judge.all("SELECT body FROM rejected_request")
        return found | {json.loads(body).get("request_id") for (body,) in rejected}

    def moves(self) -> bool:
        """Whether anything is to be taken, or given back."""
        query = "SELECT 1 FROM pool_number WHERE status IN ('available', 'taken')"
        return self._world.judge.one(query) is not None

    def after_commit(self) -> None:
        """Raises Broken where a number has two takers, or a run brought the pool above its target."""
        if self.pool is None or self._moved == self._world.files.moved:
            return
        self._moved = self._world.files.moved
        self._answers()
        judge = self._world.judge
        if (runs := judge.one("SELECT count(*) FROM pool_run")) > self._runs:
            pooled = judge.all("SELECT provider, number FROM purchase WHERE pool IS NOT NULL")
            self._world.asked.update((kind, number) for kind, number in pooled)
            if (level := judge.one(_LEVEL)) > self.pool.target:
                raise Broken(f"the pool has {level} numbers or expects them, and its target is {self.pool.target}")
        self._runs = runs

    def restored(self) -> None:
        """A database that went back has its pool of then."""
        self._told, self.taken = self._last(), self._in_table()
        self._runs = self._world.judge.one("SELECT count(*) FROM pool_run")

    def charged(self, kind: str, number: str) -> None:
        """Raises Broken where the pool bought more in these 24 hours than it may."""
        pooled = self._world.judge.one(_POOLED, kind, number)
        if pooled and (kind, number) not in self._world.judge.unseen:
            self._bought.add((kind, number))
        went_back = self._world.weather.went_back
        if self.pool and 0 < self.pool.daily_limit < len(self._bought) and not went_back:
            raise Broken(f"the pool bought {len(self._bought)} numbers, its daily limit is {self.pool.daily_limit}")

    def unsettled(self) -> list[str]:
        """What the machine, or a taker, still waits for."""
        found = [f"the pool's {number} is over, and not settled" for (number,) in self._world.judge.all(_UNSETTLED)]
        return found + [f"{key} was never answered" for key in self.waiting]

    def give_up(self) -> None:
        """Cancel what waits for the daily limit: nobody here has so much time."""
        runtime = self._world.staff.runtime
        for (waits,) in self._world.judge.all(_WAITS) if self.pool and self.pool.daily_limit else ():
            runtime.database.run(lambda conn, waits=waits: cancel.cancel(conn, waits, runtime.now()))  # type: ignore[misc]

    def _answers(self) -> None:
        rows = self._world.judge.all(
            "SELECT rowid, request_id, task, taker, numbers FROM pool_request WHERE rowid > ? AND error_code IS NULL "
            "ORDER BY rowid",
            self._told,
        )
        for rowid, request, task, by, numbers in rows:
            self._told = rowid
            for number in (one["number"] for one in json.loads(numbers)):
                if (number in self.taken) == (task == "take") and number not in self._world.returns.handed:
                    raise Broken(f"{request} moved {number}, which {self.taken.get(number, 'nobody')} has")
                if task == "take":
                    self.taken[number] = by
                else:
                    self.taken.pop(number, None)
        table, said = self._in_table(), self.taken
        if any(table.get(one) != said.get(one) for one in {*table, *said} - self._world.returns.handed):
            raise Broken(f"numbers are taken by {table}, and the answers say {said}")

    def _in_table(self) -> dict[str, str | None]:
        return dict(self._world.judge.all("SELECT number, taker FROM pool_number WHERE status = 'taken'"))

    def _last(self) -> int:
        return self._world.judge.one("SELECT max(rowid) FROM pool_request") or 0
