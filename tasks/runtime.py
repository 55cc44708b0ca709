"""The one object through which tasks reach the outside; `workers.wiring` builds it at start-up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from threading import BoundedSemaphore
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Select

from schemas.config.file import Config
from schemas.config.kinds import Kind
from schemas.config.policy import Policy
from tasks.call_times import CallTimes
from tasks.chunks import chunks
from tasks.once import Once
from tasks.policies.accounts import Account, accounts_of
from tasks.policies.backlog import Backlog
from tasks.policies.claim_time import ClaimTime
from tasks.policies.concurrency import Places, places_of
from tasks.policies.full_orders import FullOrders
from tasks.policies.held_slots import HeldSlots
from tasks.policies.pace import Lane, Pace, buying_lane, looking_lane
from tasks.policies.watched_time import Watch
from tasks.providers.adapter import Adapter
from tasks.watermark import Watermark

T = TypeVar("T")
Item = TypeVar("Item")


class Database(Protocol):
    """Short transactions. No transaction is open during a call to a provider."""

    def run(self, action: Callable[[Connection], T]) -> T:
        """The result of *action* in a transaction of its own, once that is committed: the way to write.

        Run again, so it changes nothing but the database, where it met another transaction. Raises Unanswered where the
        answer to the commit was lost for good, and what *action* raises.
        """

    def write(self) -> AbstractContextManager[Connection]:
        """A transaction that commits at the end of the block, or rolls back on an exception; it is tried once."""

    def transact(
        self,
        action: Callable[[Connection, Sequence[Item]], Sequence[T]],
        items: Sequence[Item],
        then: Callable[[Sequence[T]], Sequence[T]] | None = None,
    ) -> list[T]:
        """Run *action* on *items*, in a transaction that it may share with others; returns a result for each item.

        It is run once for the items of all threads that wait with the same *action*. It may be run again after a
        roll-back, so it changes nothing but the database. *then* is run on the results once they are committed, once
        for all threads too; what it returns is what they get.
        """

    def read(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads."""

    def may_find(self, query: Select[Any]) -> bool:
        """Whether *query*, a constant without parameters, finds a row; True where that cannot be told.

        For what is asked again and again, and seldom finds anything: it costs much less than a transaction.
        """

    def renew(self) -> None:
        """Have fresh connections from now on."""


SEARCHES = 8
"""Searches that a worker's messages make at once: it has at least twice as many threads, and one may take minutes."""


NEIGHBOURS = 25
"""Accounts: a look at as many is short enough that a claim hardly waits for it."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One Celery message of ours: the task's name, its arguments, the queue, and when a worker drops it, if ever."""

    task: str
    queue: str
    kwargs: Mapping[str, Any]
    expires: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A configured provider: its alias, account, kind, policy and adapter."""

    alias: str
    kind: str
    account: str
    policy: Policy
    adapter: Adapter

    @property
    def queue(self) -> str:
        """The Celery queue of this provider's work."""
        return queue_of(self.alias)

    @property
    def batch(self) -> int:
        """How many numbers one purchase call may carry."""
        return min(self.policy.max_batch, self.adapter.max_batch)

    @cached_property
    def buying(self) -> Lane:
        """The lane of its purchase calls, shared with the account's other aliases."""
        return buying_lane(self.account, self.policy)

    @cached_property
    def places(self) -> Places | None:
        """The places of its calls of all kinds, where there are only so many at once."""
        return places_of(self.account, self.policy)

    @cached_property
    def looking(self) -> Lane:
        """The lane of its reading calls."""
        return looking_lane(self.account, self.policy)


def queue_of(alias: str) -> str:
    """The Celery queue of a provider's work."""
    return f"purchases.{alias}"


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Everything that domain code may use. `redis` is a redis-py client; `send` publishes Celery messages.

    `reached` is told the points between acceptance and event at which a process may die, in this order: accepted,
    released, taken, reserved, claimed, sending, answered, recorded, published; and those of a
    pool's or a wish's run: leased, searched, ordering; and those of a release: release_taken, release_claimed,
    release_answered, release_recorded. It does nothing but in chaos tests.
    `watch` asks what `now` goes by anew; without it no clock is ever set.

    `config`, `providers` and `kinds` are the configuration in force. It changes as a whole, by another runtime that is
    installed. So a task takes the runtime once, at its start: what it has begun by one configuration, it ends by it.
    `file_differs` is whether the file holds another one at this moment. `calls` counts this process's calls, `claims`
    tells what its claims take, `slots` are those of the calls that are about to go, and `backlog` which messages it
    took late. `overtaken` are the aliases whose last message here came too late: it is looked whether the next has
    too, before it takes a slot. `full_orders` are at their limit. `searches` has a place for each
    that messages may make at once. `compared` is the server of the database that `detect.compare` was asked of.
    """

    config: Config
    providers: Mapping[str, Binding]
    database: Database
    redis: Any
    pace: Pace
    watermark: Watermark
    send: Callable[[Iterable[Message]], None]
    now: Callable[[], datetime] = utc_now
    watch: Callable[[], Watch] | None = None
    sleep: Callable[[float], None] = time.sleep
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    reached: Callable[[str], None] = lambda _point: None
    file_differs: Callable[[], bool] = lambda: False
    calls: CallTimes = field(default_factory=CallTimes)
    claims: ClaimTime = field(default_factory=ClaimTime)
    backlog: Backlog = field(default_factory=Backlog)
    slots: HeldSlots = field(default_factory=HeldSlots)
    overtaken: set[str] = field(default_factory=set)
    full_orders: FullOrders = field(default_factory=FullOrders)
    compared: Once = field(default_factory=Once)
    searches: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(SEARCHES))

    def watched(self) -> Watch:
        """The time now, asked for anew, and since when it passes. Raises SQLAlchemyError while the database is away."""
        return Watch(now=self.now()) if self.watch is None else self.watch()

    @cached_property
    def accounts(self) -> Mapping[str, Account]:
        """The configured accounts, and which aliases share their limits."""
        return accounts_of((one.alias, one.account) for one in self.providers.values())

    @cached_property
    def neighbours(self) -> Mapping[str, Sequence[str]]:
        """Of each configured account those that a new connection is looked at for together, itself among them."""
        return {account: some for some in chunks(sorted(self.accounts), NEIGHBOURS) for account in some}

    def seller(self, alias: str, account: str) -> str:
        """The alias that is bought under for *account*: *alias*, unless the file has that account by others only."""
        found = self.accounts.get(account)
        return alias if found is None or alias in found.aliases else found.aliases[0]


PUBLIC_QUEUE = "purchases"
"""The Celery queue of what is no one provider's."""

_current: Runtime | None = None


def install(runtime: Runtime | None) -> None:
    """Make *runtime* the one that this process's tasks use."""
    global _current  # noqa: PLW0603 - Celery tasks are module-level functions: this is their one way to it
    _current = runtime


def current() -> Runtime:
    """The installed runtime. Raises RuntimeError before `install`."""
    if _current is None:
        raise RuntimeError("no runtime is installed: start through workers.app or workers.wiring")
    return _current
