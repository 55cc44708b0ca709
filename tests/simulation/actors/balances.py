"""Accounts whose balance is low, or is not: who has them looked at, and the judge of what is told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from schemas.config.balances import ANY, parse_low_balance
from schemas.config.file import Config
from schemas.events import EventType
from tasks.ledger import balances
from tasks.messages.celery_tasks import BALANCE
from tasks.runtime import Message
from tests.simulation.requests import PUBLIC
from tests.simulation.scheduler.clockwork import Broken

if TYPE_CHECKING:
    from tests.simulation.world import World

SHARE = 0.3
"""The share of worlds in which balances are looked at, where a provider tells one."""
LOW, ENOUGH = "1000.00", "1.00"
"""What is low, by the amounts that the sandboxes tell, and what is not."""
TICK = 3.0
EVERY = 15.0
"""Seconds in the place of a day; of the minutes for which a look is lent, and of the hour after a failed one, less."""


@contextmanager
def in_seconds() -> Iterator[None]:
    """The days and hours of the looks are seconds."""
    times = {"EVERY": EVERY, "LEASE": 8.0, "RETRY_AFTER": 4.0}
    with patch.multiple(balances, **{name: timedelta(seconds=seconds) for name, seconds in times.items()}):
        yield


class Balances:
    """Which accounts are `watched`, and whether they are `low`."""

    def __init__(self, world: World) -> None:
        rng = world.chance("balances")
        self._world = world
        on, self.low = rng.random() < SHARE, rng.random() < 0.5
        told = [name for name, one in world.config.providers.items() if one.balance_currency is not None]
        self.watched = told if on else []

    def file(self, config: Config) -> Config:
        """The configuration with the settings for those that are watched."""
        return config.model_copy(update={"providers": {name: self._set(one) for name, one in config.providers.items()}})

    def _set(self, one: Any) -> Any:
        if one.kind not in self.watched:
            return one
        currency = "USD" if one.balance_currency == ANY else one.balance_currency
        low = parse_low_balance(f"{LOW if self.low else ENOUGH} {currency}".rstrip())
        return one.model_copy(update={"low_balance": low})

    def beat(self) -> None:
        """What Celery beat sends for each alias, for ever."""
        while True:
            for alias in self.watched:
                self._world.broker.post(Message(task=BALANCE, queue=PUBLIC, kwargs={"provider": alias}))
            self._world.clockwork.sleep(TICK)

    def unsettled(self) -> list[str]:
        """Whose low balance was not told."""
        wanted = set(self.watched if self.low else ())
        return [f"the balance of {alias} is low, and nobody was told" for alias in sorted(wanted - self._told().keys())]

    def at_the_end(self) -> None:
        """Raises Broken where one was told that is not low, or one more often than once a day."""
        told, faults = self._told(), self._world.faults.counts
        if told and not self.low:
            raise Broken(f"the balance of {next(iter(told))} is told as low, and is not")
        set_or_restored = faults["database's clock is set"] or self._world.weather.went_back
        most = 1 + self._world.clockwork.seconds() / EVERY
        for alias, times in told.items():
            if times > most and not set_or_restored:
                raise Broken(f"the low balance of {alias} was told {times} times in so many days: {most:.1f}")

    def _told(self) -> Counter[str]:
        query = "SELECT data FROM outbox_event WHERE type = ? ORDER BY seq"
        rows = self._world.judge.all(query, EventType.PROVIDER_LOW_BALANCE)
        return Counter(json.loads(data)["provider"] for (data,) in rows)
