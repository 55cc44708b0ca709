"""A runtime on a real database, with a clock that tests move and a provider that they script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select, update

from schemas.config.file import Config
from schemas.config.kinds import policy_for
from schemas.config.policy import Policy
from schemas.requests import BuyNumber
from schemas.status import Status
from schemas.tables.accounts import BALANCE_CHECK, LEFT, LINK
from schemas.tables.audits import AUDIT_RUN, FINDING
from schemas.tables.history import ANSWERED
from schemas.tables.pools import POOL, POOL_NUMBER, POOL_REQUEST, POOL_RUN
from schemas.tables.processes import PROCESS
from schemas.tables.purchases import ATTEMPT, EVENT, KEY, LINE, ORDER, PROVIDER, PURCHASE, REJECTED, RESOLUTION
from schemas.tables.releases import RELEASE, RELEASE_ATTEMPT, RELEASE_KEY
from schemas.tables.wishes import OFFERS, RESERVATION, WISH
from tasks import provider_reaction
from tasks.ledger import due
from tasks.ledger.calls import intents
from tasks.ledger.queue import pausing
from tasks.ledger.rows import Row, find
from tasks.lifecycle import accept as accepting
from tasks.lifecycle import purchase, reconcile, release_and_sweep
from tasks.policies.full_orders import FullOrders
from tasks.policies.pace import Lane, Pace, Slot
from tasks.policies.pause import Cause, Pause
from tasks.providers.configured import sandbox_config
from tasks.providers.registry import kinds
from tasks.runtime import Binding, Message, Runtime
from tasks.watermark import KEPT, Mark, Since, Watermark
from tests.tasks.clock import Clock
from tests.tasks.scripted_provider import ScriptedProvider
from workers.database.connections import SqlDatabase

NUMBER = "+14155550100"
ACCOUNT = "acme-account"
TABLES = (
    *(EVENT, LINE, ORDER, ATTEMPT, KEY, PURCHASE, REJECTED, PROVIDER, RESOLUTION, AUDIT_RUN, FINDING),
    *(POOL, POOL_NUMBER, POOL_REQUEST, POOL_RUN, ANSWERED, LEFT, LINK, PROCESS),
    *(RELEASE, RELEASE_KEY, RELEASE_ATTEMPT, BALANCE_CHECK, WISH, OFFERS, RESERVATION),
)
TURNS: tuple[tuple[Callable[..., set[str]], Callable[..., int]], ...] = (
    (due.overdue, release_and_sweep.sweep_provider),
    (due.to_buy, release_and_sweep.release_due),
    (due.to_look, release_and_sweep.look_due),
)
ANY_DUE = select(PURCHASE.c.id).where(PURCHASE.c.due_at <= bindparam("now")).limit(1)
_AT = PURCHASE.c
JUDGED = select(
    *(_AT.id, _AT.number, _AT.provider, _AT.status, _AT.revision, _AT.doubt, _AT.error_code, _AT.due_at),
    *(_AT.call_deadline, _AT.idempotency_key),
).order_by(_AT.id)
"""What the games of chance read of all purchases at each step: most columns are none of theirs."""
FAST = {"rate_limits": ["1000/second"], "lookup_rate_limits": ["1000/second"]}


def number(index: int) -> str:
    """A possible number for each index."""
    return f"+1415555{index:04d}"


def policy(**overrides: Any) -> Policy:
    """A policy whose pace is out of the way."""
    return policy_for(kinds()["fluents"], {**FAST, **overrides})


class Killed(BaseException):
    """The worker is killed here: nothing catches it."""


def die() -> None:
    raise Killed


@dataclass(frozen=True)
class OpenSlot(Slot):
    """The call may go now, and no machine is so busy that it misses it."""

    wait: float = 0.0
    token: int = 1

    def missed(self, guard: float) -> bool:
        return False


class OpenPace(Pace):
    """A pace that lets everything through: the real one keeps Redis's time, which no test can move."""

    def __init__(self) -> None:
        self.refunded: list[Slot] = []
        self.penalties: list[float] = []
        self.cooled: list[str] = []

    def reserve(self, lane: Lane, horizon: float = 2.0, *, notice: float = 0.0) -> Slot:
        return OpenSlot()

    def all_next_in(self, lanes: Iterable[Lane]) -> list[float]:
        return [0.0 for _ in lanes]

    def refund(self, lane: Lane, slot: Slot) -> bool:
        self.refunded.append(slot)
        return True

    def penalise(self, lane: Lane, seconds: float) -> None:
        self.penalties.append(seconds)
        self.cooled.append(lane.key.rpartition(":")[2])

    def cooling(self, lane: Lane) -> bool:
        return False


class OpenWatermark(Watermark):
    """Marks in memory, for worlds without Redis."""

    def __init__(self) -> None:
        self.marks: dict[str, list[Mark]] = {}

    def meet(self, server: str) -> None:
        pass

    def write(self, marks: Mapping[str, Sequence[Mark]], server: str = "") -> None:
        for account, its in marks.items():
            self.marks.setdefault(account, [])[:0] = reversed(its)

    def write_release(self, account: str, mark: Mark, server: str = "") -> None:
        self.write({account: [mark]})

    def newest(self, account: str, count: int = KEPT, others: Iterable[str] = ()) -> list[Mark]:
        return self.marks.get(account, [])[:count]

    def newest_of(self, counts: Mapping[str, int]) -> dict[str, list[Mark]]:
        return {account: self.newest(account, count) for account, count in counts.items()}

    def since_known(self, account: str, others: Iterable[str] = ()) -> Since:
        return Since(marks=self.newest(account), until={})

    def marked(self, accounts: Iterable[str]) -> list[str]:
        return [*accounts]

    def unchanged(self, accounts: Iterable[str]) -> dict[str, list[Mark]]:
        return {}

    def looks(self, counts: Mapping[str, int]) -> dict[str, tuple[list[Mark], Since]]:
        return {account: (self.newest(account, count), self.since_known(account)) for account, count in counts.items()}

    def pools(self, account: str, others: Iterable[str] = ()) -> dict[str, str]:
        return {mark.purchase_id: mark.pool for mark in self.newest(account) if mark.pool}

    def references(self, account: str, others: Iterable[str] = ()) -> dict[tuple[str, int], list[str]]:
        found: dict[tuple[str, int], list[str]] = {}
        for mark in self.newest(account):
            if mark.reference:
                found.setdefault((mark.purchase_id, mark.revision), []).append(mark.reference)
        return found

    def known(self, since: Since) -> None:
        pass

    def link(self, former: str, account: str, *, same: bool) -> None:
        """Both have the one list from now on."""
        both = {*self.marks.get(former, []), *self.marks.get(account, [])}
        self.marks[account] = sorted(both, key=lambda mark: mark.started_at, reverse=True)
        self.marks[former] = self.marks[account]

    def relink(self, links: Sequence[tuple[str, str, bool]]) -> None:
        """Memory is not emptied."""


@dataclass
class World:
    """The runtime, and what a test asks of it.

    `sent` are the messages that no worker took yet; `points` what happens, once, at a named point of the work.
    """

    runtime: Runtime
    clock: Clock
    provider: ScriptedProvider
    pace: Any
    sent: list[Message] = field(default_factory=list)
    points: dict[str, Callable[[], None]] = field(default_factory=dict)

    @property
    def binding(self) -> Binding:
        return self.runtime.providers["acme"]

    def write(self) -> Any:
        return self.runtime.database.write()

    def rows(self, query: Any) -> list[Row]:
        with self.runtime.database.read() as conn:
            found = conn.execute(query)
            # a mapping of SQLAlchemy's looks each column up by its name
            names = tuple(found.keys())
            return [dict(zip(names, row, strict=True)) for row in found]

    def row(self, purchase_id: str) -> Row:
        with self.runtime.database.read() as conn:
            found = find(conn, purchase_id)
        assert found is not None
        return found

    def attempts(self, purchase_id: str) -> list[str | None]:
        query = select(ATTEMPT).where(ATTEMPT.c.purchase_id == purchase_id).order_by(ATTEMPT.c.revision)
        return [row["outcome"] for row in self.rows(query)]

    def events(self, *, of: str | None = None, without: str = "dialstock.request.accepted") -> list[str]:
        """The last words of the events' types, in order; of one purchase, if given."""
        found = [row for row in self.rows(select(EVENT).order_by(EVENT.c.seq)) if row["type"] != without]
        return [row["type"].rsplit(".", 1)[1] for row in found if of in (None, row["data"].get("purchase_id"))]

    def accept(self, wanted: str = NUMBER, provider: str = "acme", **fields: Any) -> Row:
        return accepting.accept_one(self.runtime, BuyNumber(number=wanted, provider=provider, **fields))

    def queued(self, wanted: str = NUMBER, provider: str = "acme") -> Row:
        """An accepted purchase that waits for its release."""
        row = self.accept(wanted, provider)
        self.sent.clear()
        with self.write() as conn:
            conn.execute(
                update(PURCHASE)
                .where(PURCHASE.c.id == row["id"])
                .values(status=Status.QUEUED, revision=PURCHASE.c.revision + 1, due_at=self.clock.moment)
            )
        return self.row(row["id"])

    def claimed(self, wanted: str = NUMBER) -> intents.Claim:
        """A purchase in the hands of a worker that has not answered yet."""
        row = self.accept(wanted)
        return self.claim(row["id"])

    def claim(self, purchase_id: str) -> intents.Claim:
        """Take the message of a dispatched purchase and stop after its intent."""
        self.sent = [message for message in self.sent if message.kwargs.get("purchase_id") != purchase_id]
        with self.write() as conn:
            revision = self.row(purchase_id)["revision"]
            [claim] = intents.claim(conn, [intents.Wanted(purchase_id, revision, ACCOUNT)], self.clock.moment, 32.0)
        assert claim is not None
        return claim

    def release(self) -> int:
        return release_and_sweep.release_due(self.runtime, self.binding)

    def sweep(self) -> int:
        return release_and_sweep.sweep_provider(self.runtime, self.binding)

    def look(self) -> int:
        return release_and_sweep.look_due(self.runtime, self.binding)

    def timers(self, *aliases: str) -> None:
        """One round of a worker's timers: as there, only the aliases that have something due have their turn.

        It is the round of *aliases*, or of all where none is named. Where nothing is due at all, none is asked for.
        """
        with self.runtime.database.read() as conn:
            anything = conn.execute(ANY_DUE, {"now": self.runtime.now()}).first()
        for ask, turn in TURNS if anything else ():
            with self.runtime.database.read() as conn:
                due = ask(conn, self.runtime.now())
            for alias, binding in self.runtime.providers.items():
                if alias in due and alias in (aliases or due):
                    turn(self.runtime, binding)

    def deliver(self, message: Message) -> Any:
        """What a worker does with a message."""
        if message.task == release_and_sweep.BUY:
            return purchase.buy(self.runtime, **message.kwargs)
        if message.task == release_and_sweep.BUY_BATCH:
            return purchase.buy_batch(self.runtime, **message.kwargs)
        return reconcile.look(self.runtime, **message.kwargs)

    def work(self) -> None:
        """Deliver every message, and those that follow."""
        while self.sent:
            self.deliver(self.sent.pop(0))

    def tick(self) -> None:
        """One round of a worker's timers for `acme`, and the work that follows."""
        self.timers("acme")
        self.work()

    def settle(self, purchase_id: str, *, seconds: float = 3600.0, step: float = 5.0) -> Row:
        """Let time pass, with all timers running, until the machine has nothing more to do.

        Where nothing is due for a while, the timers run only just before it is, and just after.
        """
        start, due = self.clock.passed, self._due()
        while purchase_id in due:
            assert self.clock.passed - start < seconds, f"not settled in {seconds:g} s: {self.row(purchase_id)}"
            self.tick()
            due = self._due()
            self.clock.advance(self._rounds_until(min(due.values(), default=self.clock.moment), step) * step)
        return self.row(purchase_id)

    def _due(self) -> dict[str, datetime]:
        """When each purchase is due that is due at any time."""
        query = select(PURCHASE.c.id, PURCHASE.c.due_at).where(PURCHASE.c.due_at.is_not(None))
        return {row["id"]: row["due_at"] for row in self.rows(query)}

    def _rounds_until(self, due: datetime, step: float) -> int:
        """How many steps there are until the last one before *due*; at least one."""
        return max(1, math.ceil((due - self.clock.moment).total_seconds() / step) - 1)

    def pause(self, cause: Cause = Cause.ACCOUNT, cooldown: float | None = 60.0) -> bool:
        with self.write() as conn:
            return pausing.pause(conn, "acme", Pause(cause=cause, reason="for a test", cooldown=cooldown), self.clock())


def make_world(database: SqlDatabase, redis: Any = None, *, lookup: str = "by_number", **overrides: Any) -> World:
    """A world of two aliases, acme and twin, of one account; *overrides* go to their policy.

    With *redis* the pace is the real one.
    """
    clock = Clock()
    provider = ScriptedProvider(clock, lookup)
    pace = OpenPace() if redis is None else Pace(redis)
    rules = policy(**overrides)
    bindings = {
        alias: Binding(alias=alias, kind="fluents", account=ACCOUNT, policy=rules, adapter=provider)
        for alias in ("acme", "twin")
    }
    sent, points = list[Message](), dict[str, Callable[[], None]]()

    def send(messages: Iterable[Message]) -> None:
        world.sent.extend(messages)

    def reached(point: str) -> None:
        if happens := points.pop(point, None):
            happens()

    runtime = Runtime(
        config=_configured(),
        providers=bindings,
        kinds=dict.fromkeys(bindings, kinds()["fluents"]),
        database=database,
        redis=redis,
        pace=pace,
        watermark=OpenWatermark() if redis is None else Watermark(redis),
        send=send,
        now=clock,
        watch=clock.watch,
        sleep=clock.advance,
        reached=reached,
        full_orders=FullOrders(lambda: clock.passed),
    )
    world = World(runtime=runtime, clock=clock, provider=provider, pace=pace, sent=sent, points=points)
    provider_reaction._streaks.clear()
    return world


@cache
def _configured() -> Config:
    return sandbox_config()


def clear(database: SqlDatabase) -> None:
    """Empty all tables."""
    statements = [f"DELETE FROM {table.name}" for table in TABLES]
    with database.write() as conn:
        # PostgreSQL takes all in one message.
        for statement in statements if conn.dialect.name == "sqlite" else ["; ".join(statements)]:
            conn.exec_driver_sql(statement)
