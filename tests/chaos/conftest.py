from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.world import World, stage
from tests.servers import PostgresServer, RedisServer

LONG = os.environ.get("CHAOS") == "long"
NUMBERS = int(os.environ.get("NUMBERS") or (1100 if LONG else 105))
"""What is asked for in a run in which whatever dies and whenever, over all kinds in turn."""


@pytest.fixture
def set_stage(
    tmp_path: Path, database_url: str, redis_server: RedisServer, request: pytest.FixtureRequest, seed: int
) -> Iterator[Callable[..., AbstractContextManager[World]]]:
    """Sets the stage on each kind of database in turn."""
    postgres: PostgresServer | None = None
    if not database_url.startswith("sqlite"):
        postgres = request.getfixturevalue("postgres_server")

    def build(**options: Any) -> AbstractContextManager[World]:
        return stage(tmp_path, database_url, redis_server, postgres, seed=seed, **options)

    yield build
    redis_server.ensure_running()
