"""Searching from the command line: what a worker has for it, here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from schemas.config.file import Config
from tasks.policies.pace import Pace
from tasks.runtime import Runtime
from workers.views.desk import Desk
from workers.views.redis_server import open_redis
from workers.wiring import bind_providers


@contextmanager
def searching(desk: Desk, aliases: Sequence[str]) -> Iterator[Runtime]:
    """The runtime with those providers bound for real, and Redis for the pace of their searches.

    Raises ConfigError, Away and EmbeddedError.
    """
    mine = {alias: desk.runtime.config.providers[alias] for alias in aliases}
    bound = bind_providers(Config(providers=mine), os.environ)
    with open_redis(desk.settings) as client:
        providers = {**desk.runtime.providers, **bound}
        yield replace(desk.runtime, providers=providers, redis=client, pace=Pace(client))
