"""The customers: orders loaded as the command line loads them, and messages of a foreign Celery client."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from kombu.exceptions import OperationalError as BrokerAway
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from schemas.requests import parse_buy, parse_order
from schemas.status import OrderStatus
from schemas.tables.purchases import KEY, ORDER
from tasks import orders
from tests.chaos.world import KINDS, World

Ask = dict[str, str]

PAUSE = 0.3
"""Seconds between two batches of a share."""


class Feeder:
    """Brings what is asked for in, by orders and by messages, in a thread of its own. A refused try is made again.

    It comes in equal `shares`, each begun by `next_share`, so that there is work whenever a blow falls. `messages` are
    those sent by message, and `orders` those loaded, by their key: a customer who is not known sends the same again.
    """

    def __init__(self, world: World, asked: list[Ask], *, shares: int = 1, seed: int = 0) -> None:
        self._world = world
        self.asked = asked
        self.orders: dict[str, list[Ask]] = {}
        self.messages: dict[str, Ask] = {}
        self.resent = 0
        rng = random.Random(seed)
        cuts = [len(asked) * n // shares for n in range(shares + 1)]
        self._shares = [_batches(rng, asked[begin:end]) for begin, end in itertools.pairwise(cuts)]
        self._begun = threading.Semaphore(0)
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder")
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def next_share(self) -> None:
        """Let the next share come in."""
        self._begun.release()

    def finish(self) -> None:
        """Bring in the rest at once."""
        self._hurry.set()
        for _ in self._shares:
            self._begun.release()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def missing(self) -> list[str]:
        """The keys of messages that left no trace, and of orders that were loaded and are not there, or not whole."""
        whole = ORDER.c.status.in_((OrderStatus.OPEN, OrderStatus.COMPLETED))
        with self._world.runtime.database.read() as conn:
            known = set(conn.execute(select(KEY.c.idempotency_key)).scalars())
            known.update(conn.execute(select(ORDER.c.idempotency_key).where(whole)).scalars())
        return [key for key in (*self.messages, *self.orders) if key not in known]

    def send_again(self) -> None:
        """What a customer does whose message left no trace: the same again, under the same key."""
        lost = self.missing()
        for key in lost:
            self._load(key) if key in self.orders else self._send(key)
        self.resent += len(lost)

    def _run(self) -> None:
        try:
            for share in self._shares:
                self._begun.acquire()
                for way, asks in share:
                    self._order(asks) if way == "order" else self._post(asks, way)
                    self._hurry.wait(PAUSE)
        except BaseException as exc:
            self._error = exc

    def _order(self, asks: list[Ask]) -> None:
        key = f"order-{asks[0]['number']}"
        self.orders[key] = asks
        self._load(key)

    def _load(self, key: str) -> None:
        runtime, asks = self._world.runtime, self.orders[key]
        order = parse_order({"requests": asks, "idempotency_key": key}, runtime.kinds)
        lines = [(n, parse_buy(ask, runtime.kinds)) for n, ask in enumerate(asks, 1)]

        def load() -> None:
            with self._world.desk:
                begun = orders.begin(runtime, order=order)
                orders.load(runtime, begun["id"], lines)
                orders.finish(runtime, begun["id"])

        _persist(load)

    def _post(self, asks: list[Ask], way: str) -> None:
        for ask in asks:
            key = f"message-{ask['number']}"
            self.messages[key] = ask
            for _ in range(2 if way == "twice" else 1):
                _persist(lambda key=key: self._send(key))  # type: ignore[misc]

    def _send(self, key: str) -> None:
        kwargs = {**self.messages[key], "idempotency_key": key}
        self._world.broker.send_task("dialstock.buy_number", kwargs=kwargs, queue="purchases", retry=False)


def draw_asks(total: int, kinds: Sequence[str] = KINDS) -> list[Ask]:
    """Numbers that nobody asks for twice, over the providers in turn."""
    return [{"number": f"+1415{2_000_000 + n}", "provider": kinds[n % len(kinds)]} for n in range(total)]


def _batches(rng: random.Random, asked: list[Ask]) -> list[tuple[str, list[Ask]]]:
    left, batches = list(asked), []
    while left:
        size = rng.randint(4, 20)
        batches.append((rng.choice(("order", "order", "message", "twice")), left[:size]))
        left = left[size:]
    return batches


def _persist(action: Callable[[], None]) -> None:
    deadline = time.monotonic() + 90
    while True:
        with suppress(SQLAlchemyError, BrokerAway, RedisError, OSError):
            return action()
        assert time.monotonic() < deadline, "the database or Redis stays away"
        time.sleep(0.2)
