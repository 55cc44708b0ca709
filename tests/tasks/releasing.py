"""A provider that takes numbers back, by a script, in a world whose kind documents it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from schemas.releasing import ReleaseKind, ReleaseOutcome
from schemas.tables.purchases import PURCHASE
from schemas.tables.releases import RELEASE, RELEASE_ATTEMPT
from tasks.ledger.releases.asking import Asked, Asking
from tasks.ledger.rows import Row
from tasks.lifecycle import give_back
from tasks.providers.registry import kinds
from tasks.providers.transport.deadline import present_bounds
from tasks.releases import giving_back
from tasks.runtime import Runtime
from tests.tasks.scripted_provider import ScriptedProvider
from tests.tasks.support import NUMBER, World, make_world
from workers.database.connections import SqlDatabase

Answer = ReleaseOutcome | Callable[[str], ReleaseOutcome]

DONE = ReleaseOutcome(kind=ReleaseKind.RELEASED, http_status=204)
LOST = ReleaseOutcome(kind=ReleaseKind.UNKNOWN, error="read timed out", error_code="read_timeout")
REFUSED = ReleaseOutcome(kind=ReleaseKind.REFUSED, error="not found", error_code="http_404")
TOO_RECENT = ReleaseOutcome(kind=ReleaseKind.TOO_RECENT, error="too young", error_code="purchased_too_recently")


class TakesBack(ScriptedProvider):
    """It takes back what it sold, and shows it no more. `answers` say what comes next, `given` what came."""

    keeps_for: tuple[float, ...] = ()

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.answers: deque[Answer] = deque()
        self.given: list[tuple[str, str]] = []
        self.under_way: set[str] = set()

    def release(self, number: str, number_id: str) -> ReleaseOutcome:
        leave = present_bounds().gate()
        assert number not in self.under_way
        self.under_way.add(number)
        self.given.append((number, number_id))
        action = self.answers.popleft() if self.answers else self.take_back
        try:
            return action if isinstance(action, ReleaseOutcome) else action(number)
        finally:
            self.under_way.discard(number)
            if leave is not None:
                leave()

    def take_back(self, number: str) -> ReleaseOutcome:
        self.shows.pop(number, None)
        self.charged = [one for one in self.charged if one[0] != number]
        return DONE

    def take_back_unseen(self, number: str) -> ReleaseOutcome:
        self.take_back(number)
        return LOST


@dataclass
class Returns:
    """A world, and what a test asks of its releases."""

    world: World
    provider: TakesBack

    @property
    def runtime(self) -> Runtime:
        return self.world.runtime

    def bought(self, number: str = NUMBER, **fields: Any) -> Row:
        row = self.world.accept(number, **fields)
        self.world.work()
        return self.world.row(row["id"])

    def ask(self, row: Row, **fields: Any) -> Asked:
        return giving_back.ask(self.runtime, row["id"], Asking(by="ann", **fields))

    def step(self) -> bool:
        return give_back.step(self.runtime, self.world.binding)

    def settle(self, row: Row, *, seconds: float = 7200.0) -> Row:
        """Let time pass until nothing is left to give back.

        Where nothing is due for a while, steps are made only a second before it is, and each second from then on.
        """
        start = self.world.clock.passed
        while self.releases(status="open"):
            while self.step():
                pass
            self.world.clock.advance(max(1.0, self._until_due() - 1.0))
            assert self.world.clock.passed - start < seconds, self.releases()
        return self.world.row(row["id"])

    def _until_due(self) -> int:
        """Whole seconds until the first of those that are open is due; 0 where one is, or none ever will be."""
        now = self.world.clock.moment
        due = min((one["due_at"] for one in self.releases(status="open") if one["due_at"]), default=now)
        return max(0, math.ceil((due - now).total_seconds()))

    def releases(self, **equal: str) -> list[Row]:
        where = [RELEASE.c[name] == value for name, value in equal.items()]
        return self.world.rows(select(RELEASE).where(*where).order_by(RELEASE.c.id))

    def calls(self) -> list[str | None]:
        rows = self.world.rows(select(RELEASE_ATTEMPT).order_by(RELEASE_ATTEMPT.c.started_at))
        return [row["outcome"] for row in rows]

    def statuses(self) -> list[str]:
        return [row["status"] for row in self.world.rows(select(PURCHASE).order_by(PURCHASE.c.id))]


def make_returns(database: SqlDatabase, redis: Any = None, **policy: Any) -> Returns:
    return takes_back(make_world(database, redis, **policy))


def takes_back(world: World) -> Returns:
    """Have a world's provider take numbers back."""
    provider = TakesBack(world.clock)
    bindings = {alias: replace(one, adapter=provider) for alias, one in world.runtime.providers.items()}
    kind = kinds()["vogent"]
    world.runtime = replace(world.runtime, providers=bindings, kinds=dict.fromkeys(bindings, kind))
    world.provider = provider
    return Returns(world=world, provider=provider)
