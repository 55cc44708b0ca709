from __future__ import annotations

from typing import Any

import pytest

from tests.tasks.pools.supplying import Make, Supplied, supplied
from workers.database.connections import SqlDatabase


@pytest.fixture
def make(database: SqlDatabase) -> Make:
    """Builds a pool and its two providers; the fields change its configuration."""

    def build(**fields: Any) -> Supplied:
        return supplied(database, **fields)

    return build


@pytest.fixture
def world(make: Make) -> Supplied:
    """A pool and its two providers, on each kind of database."""
    return make()
