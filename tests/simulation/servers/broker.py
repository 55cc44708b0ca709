"""The messages: lost, doubled and out of order as the seed has it, and back again where a worker died over one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery.exceptions import Reject
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from tasks.ledger.outdated import Outdated
from tasks.lifecycle.release_and_sweep import BUY, BUY_BATCH, LOOK
from tasks.messages import celery_tasks
from tasks.messages.public_names import (
    BUY_NUMBER,
    ORDER_NUMBERS,
    PUBLIC,
    RELEASE_NUMBER,
    RETURN_NUMBER,
    SUBMIT_ORDER,
    TAKE_NUMBER,
)
from tasks.runtime import Message
from tasks.transactions import Raced
from tasks.wishes.due import FIND_NUMBERS
from tests.simulation.actors import releases
from tests.simulation.scheduler.clockwork import Actor, Process
from workers.broker.dropped_messages import NotKept

if TYPE_CHECKING:
    from tests.simulation.world import World

_TASKS: dict[str, Any] = {
    BUY: celery_tasks.buy,
    BUY_BATCH: celery_tasks.buy_batch,
    LOOK: celery_tasks.look,
    BUY_NUMBER: celery_tasks.buy_number,
    SUBMIT_ORDER: celery_tasks.submit_order,
    ORDER_NUMBERS: celery_tasks.order_numbers,
    FIND_NUMBERS: celery_tasks.find_numbers,
    TAKE_NUMBER: celery_tasks.take_number,
    RELEASE_NUMBER: celery_tasks.release_number,
    RETURN_NUMBER: celery_tasks.return_number,
    celery_tasks.REPLENISH: celery_tasks.replenish_pool,
    celery_tasks.BALANCE: celery_tasks.look_at_balance,
}


AGAIN = 1.0
"""Seconds until a message that was sent back comes again."""


@dataclass(eq=False)
class Sent:
    """A message on its way; `id` is its sender's."""

    message: Message
    id: str
    redelivered: bool = False

    @property
    def purchases(self) -> tuple[str, ...]:
        """The purchases that it is about, where there are any yet."""
        given = self.message.kwargs
        return (given["purchase_id"],) if "purchase_id" in given else tuple(one for one, _ in given.get("items", ()))

    def __str__(self) -> str:
        given = self.message.kwargs
        names = ("purchase_id", "items", "request_id", "number", "idempotency_key", "pool", "order_id")
        about = next((given[name] for name in names if given.get(name)), None)
        return f"{self.message.task.rsplit('.', 1)[1]} {about}"


class Broker:
    """One list for all queues: every worker takes from all of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.waiting: list[Sent] = []
        self._taken: dict[Process, list[Sent]] = {}
        self._idle: list[Actor] = []
        self._count = 0

    def send(self, messages: Iterable[Message]) -> None:
        """What `Runtime.send` is."""
        for message in messages:
            self._world.clockwork.boundary("sends a message")
            self.post(message)

    def post(self, message: Message, identity: str | None = None) -> None:
        """Put a message into its queue; *identity* is its id, where its sender has one for it."""
        faults = self._world.faults
        self._count += 1
        sent = Sent(message, identity or f"message-{self._count}")
        if faults.happens("message lost", about=sent.purchases):
            return
        self.waiting += [sent, sent] if faults.happens("message doubled", about=sent.purchases) else [sent]
        self._call()

    def take(self) -> Sent:
        """The next message, waited for; its process has it until `done`."""
        clockwork = self._world.clockwork
        me = clockwork.me
        assert me is not None
        while not self.waiting:
            self._idle.append(me)
            try:
                clockwork.wait()
            finally:
                if me in self._idle:
                    self._idle.remove(me)
        place = 0
        if len(self.waiting) > 1 and self._world.faults.happens(
            "message out of order", about=self.waiting[0].purchases
        ):
            place = clockwork.rng.randrange(len(self.waiting))
        sent = self.waiting.pop(place)
        self._taken.setdefault(me.process, []).append(sent)
        return sent

    def work(self, sent: Sent) -> None:
        """Do what a worker does with a message, and acknowledge it."""
        clockwork, me = self._world.clockwork, self._world.clockwork.me
        assert me is not None
        clockwork.note(f"takes the message {sent}")
        me.hand = sent.purchases
        try:
            if not releases.drops(self._world, me.process, sent.message, sent.id):
                _run(sent)
        except (Reject, NotKept):
            clockwork.spawn("a message that waits", Process("the queue", mortal=False), lambda: self._come_back(sent))
        # Celery acknowledges what failed, too. Outdated: a search whose alias became another account meanwhile.
        except (SQLAlchemyError, RedisError, Raced, Outdated) as exc:
            clockwork.note(f"the task ends in {type(exc).__name__}")
        me.hand = ()
        self._taken[me.process].remove(sent)

    def _come_back(self, sent: Sent) -> None:
        """Later, so that it does not spin."""
        self._world.clockwork.sleep(AGAIN)
        self.waiting.append(sent)
        self._call()

    def bury(self, process: Process) -> None:
        """What a dead process had taken comes back, or is lost."""
        for sent in self._taken.pop(process, []):
            if not self._world.faults.happens("message lost", about=sent.purchases):
                sent.redelivered = True
                self.waiting.append(sent)
                self._call()

    def empty(self) -> None:
        """Redis is emptied: no message is left."""
        self.waiting.clear()

    def copy(self) -> list[Sent]:
        """What it has: what waits, and what was taken and not acknowledged."""
        return [*self.waiting, *(sent for taken in self._taken.values() for sent in taken)]

    def restore(self, copy: list[Sent]) -> None:
        """Have those again."""
        self.waiting = list(copy)
        self._call()

    def _call(self) -> None:
        if self._idle:
            self._world.clockwork.wake(self._idle[self._world.clockwork.rng.randrange(len(self._idle))])


def _run(sent: Sent) -> None:
    task = _TASKS[sent.message.task]
    if sent.message.task not in PUBLIC:
        task.run(**sent.message.kwargs)
        return
    task.push_request(id=sent.id, delivery_info={"redelivered": sent.redelivered})
    try:
        task.run(**sent.message.kwargs)
    finally:
        task.pop_request()
