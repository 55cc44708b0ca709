"""A world whose database can go back in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis
from sqlalchemy import select

from schemas.status import Status
from schemas.tables.purchases import EVENT
from tasks.ledger.queue import pausing
from tasks.ledger.rows import Row
from tasks.restored_database import detect
from tasks.watermark import Watermark
from tests.servers import RedisServer
from tests.servers.backups import Backup
from tests.tasks.support import World, make_world, number
from workers.database.connections import SqlDatabase

TWO = [number(1), number(2)]


@dataclass
class Past:
    """A world whose database can go back to where it was backed up, as a worker finds it that is started then."""

    world: World
    url: str
    redis: Any
    copy: Backup | None = None

    def keep(self) -> None:
        self.database.close()
        self.copy = Backup(self.url)

    def go_back(self) -> None:
        self.database.close()
        assert self.copy is not None
        self.copy.restore()

    @property
    def database(self) -> SqlDatabase:
        found = self.world.runtime.database
        assert isinstance(found, SqlDatabase)
        return found

    def compare(self) -> None:
        detect.compare(self.world.runtime)

    def state(self, alias: str = "acme") -> Row:
        with self.database.read() as conn:
            return pausing.state_of(conn, alias) or {}

    def causes(self) -> list[str | None]:
        return [self.state(alias).get("cause") for alias in ("acme", "twin")]

    def told(self, kind: str) -> list[Row]:
        return [
            row["data"]
            for row in self.world.rows(select(EVENT).order_by(EVENT.c.seq))
            if row["type"] == f"dialstock.provider.{kind}"
        ]

    def charged(self) -> list[str]:
        return sorted(sold for sold, _ in self.world.provider.charged)

    def lose(self, *numbers: str) -> list[Row]:
        """Buy what is queued in the copy already, and go back. Returns the rows as they were bought."""
        rows = [self.world.queued(one) for one in numbers]
        self.keep()
        self.world.tick()
        bought = [self.world.row(row["id"]) for row in rows]
        assert {row["status"] for row in bought} == {Status.PURCHASED}
        self.go_back()
        return bought

    def lose_while_paused(self, *numbers: str) -> None:
        """Go back to a copy in which acme is paused, and none of *numbers* was asked for."""
        self.keep()
        with self.world.write() as conn:
            pausing.resume(conn, "acme", self.world.clock(), by_machine=False)
        for one in numbers:
            self.world.queued(one)
        self.world.tick()
        assert sorted(self.charged()) == sorted(numbers)
        self.go_back()

    def buy_what_is_left(self) -> None:
        """All that workers do in ten minutes."""
        for _ in range(20):
            self.world.tick()
            self.world.clock.advance(30)


@contextmanager
def started(database_url: str, redis_server: RedisServer, **policy: Any) -> Iterator[Past]:
    with Redis.from_url(redis_server.url) as client:
        world = make_world(SqlDatabase(database_url), **policy)
        world.runtime = replace(world.runtime, redis=client, watermark=Watermark(client))
        found = Past(world, database_url, client)
        yield found
        found.database.close()
        if found.copy is not None:
            found.copy.close()
