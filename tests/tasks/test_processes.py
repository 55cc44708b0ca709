"""The rows in which processes say that they run, and by which configuration."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from schemas.tables.processes import PROCESS
from tasks import processes
from tasks.processes import ALIVE, BEAT, KEPT, WORKER, Process, Running
from tests.tasks.support import World


def tell(world: World, me: Process, digest: str = "old", refused: str | None = None) -> None:
    world.runtime.database.run(lambda conn: processes.write_down(conn, me, digest, refused, world.clock()))


def running(world: World) -> list[Running]:
    with world.runtime.database.read() as conn:
        return list(processes.running(conn, world.clock()))


def differ(world: World, digest: str) -> bool:
    with world.runtime.database.read() as conn:
        return processes.others_differ(conn, digest, world.clock())


def test_a_process_tells_since_when_its_configuration_is_in_force(world: World) -> None:
    me, began = Process(role=WORKER, host="here", pid=7), world.clock.moment
    for _ in range(2):
        tell(world, me)
        world.clock.advance(5)
    assert running(world) == [Running(role=WORKER, host="here", pid=7, digest="old", since=began, refused=None)]
    tell(world, me, refused="x.toml:1: is not TOML\n")
    assert [(one.since, one.refused) for one in running(world)] == [(began, "x.toml:1: is not TOML ")]
    tell(world, me, "new")
    assert [(one.since, one.refused, str(one)) for one in running(world)] == [
        (world.clock.moment, None, "worker 7 on here")
    ]
    world.runtime.database.run(lambda conn: processes.take_out(conn, me))
    assert running(world) == []


def test_a_silent_one_is_taken_for_dead_and_forgotten_later(world: World) -> None:
    tell(world, Process(role=WORKER, pid=1))
    world.clock.advance(ALIVE.total_seconds() + 1)
    assert running(world) == []
    assert not differ(world, "another")
    tell(world, Process(role=WORKER, pid=2))
    assert len(world.rows(select(PROCESS))) == 2
    world.clock.advance((KEPT + timedelta(seconds=1)).total_seconds())
    tell(world, Process(role=WORKER, pid=3))
    assert [row["pid"] for row in world.rows(select(PROCESS))] == [3]


def test_only_a_worker_can_know_more(world: World) -> None:
    tell(world, Process(role=BEAT), "new")
    tell(world, Process(role=WORKER), "old")
    assert not differ(world, "old")
    assert differ(world, "new")
