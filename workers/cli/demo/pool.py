"""The demo's pool: filled, emptied by many takers at once, and filled again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from schemas.events import EventType
from schemas.status import Status
from schemas.tables.pools import POOL_RUN
from schemas.tables.purchases import EVENT, PURCHASE
from tasks.messages.public_names import TAKE_NUMBER
from tasks.pools.counting import levels
from tasks.replenish.replenish import NotNow, run
from tasks.runtime import Message, Runtime
from workers.cli.demo.script import POOL, TAKERS, TARGET
from workers.periodic.beat_schedule import PUBLIC_QUEUE

_ANSWERS = (EventType.POOL_TAKEN, EventType.POOL_REFUSED)


class Act(StrEnum):
    """What happens to the pool now, in words."""

    FILLING = "filling"
    TAKING = f"{TAKERS} services take a number at once"
    REFILLING = "emptied, and filling again"
    OVER = "emptied, and full again"


class PoolPlay:
    """Plays it, one step at a time; `act` is where it is, `available` how many numbers are there to take."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.act = Act.FILLING
        self.available = 0

    def step(self) -> None:
        """Do what is to be done now. What is missing is ordered as `dialstock pool run` does it."""
        if self.act in (Act.FILLING, Act.REFILLING):
            with suppress(NotNow):
                run(self._runtime, POOL, by_person=True)
        with self._runtime.database.read() as conn:
            known = levels(conn, POOL, self._runtime.now())
            answered = sum(len(found) for found in _answers(conn).values())
        self.available = known.available
        full = known.available == TARGET and not known.moving
        if self.act is Act.FILLING and full:
            self._runtime.send(_takes())
            self.act = Act.TAKING
        elif self.act is Act.TAKING and answered >= TAKERS:
            self.act = Act.REFILLING
        elif self.act is Act.REFILLING and full:
            self.act = Act.OVER

    @property
    def words(self) -> str:
        """How far it is."""
        return f"pool: {self.act}, {self.available} of {TARGET} there"


@dataclass(frozen=True, kw_only=True)
class PoolResult:
    """What became of the pool, in numbers.

    `charged` and `bought` count all its purchases. `given` were given to takers, `to_two` to more than one of them;
    `refused` takers found it empty. `available` are there at the end, and `on_the_way`.
    """

    target: int
    charged: int
    bought: int
    given: int
    to_two: int
    refused: int
    available: int
    on_the_way: int

    @property
    def right(self) -> bool:
        """Whether no number has two takers, none is missing, and the pool is full again."""
        kept = self.bought == self.given + self.available and not self.to_two
        full = self.given == self.available == self.target and not self.on_the_way
        return kept and full and self.given + self.refused == TAKERS


def measure_pool(conn: Connection, charges: Iterable[Mapping[str, Any]], now: datetime) -> PoolResult:
    """Read the ledgers and the answers that the takers got."""
    known = levels(conn, POOL, now)
    ours = select(POOL_RUN.c.order_id).where(POOL_RUN.c.pool == POOL)
    query = select(PURCHASE.c.number, PURCHASE.c.status).where(PURCHASE.c.order_id.in_(ours))
    purchases = [(number, status) for number, status in conn.execute(query)]
    answers = _answers(conn)
    given = Counter(one["number"] for data in answers[EventType.POOL_TAKEN] for one in data["numbers"])
    numbers = {number for number, _ in purchases}
    return PoolResult(
        target=TARGET,
        charged=sum(charge["number"] in numbers for charge in charges),
        bought=sum(status == Status.PURCHASED for _, status in purchases),
        given=len(given),
        to_two=sum(count > 1 for count in given.values()),
        refused=len(answers[EventType.POOL_REFUSED]),
        available=known.available,
        on_the_way=known.moving,
    )


def _answers(conn: Connection) -> dict[str, list[dict[str, Any]]]:
    """The data of the events that answer the takers, by type."""
    query = select(EVENT.c.type, EVENT.c.data).where(EVENT.c.type.in_(_ANSWERS), EVENT.c.subject == POOL)
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _ANSWERS}
    for kind, data in conn.execute(query):
        found[kind].append(data)
    return found


def _takes() -> list[Message]:
    return [
        Message(task=TAKE_NUMBER, queue=PUBLIC_QUEUE, kwargs={"pool": POOL, "taker": f"service-{number}"})
        for number in range(1, TAKERS + 1)
    ]
