from __future__ import annotations

import pytest

from tests.tasks.wishes.wishing import Wishing, wishing
from workers.database.connections import SqlDatabase


@pytest.fixture
def world(database: SqlDatabase) -> Wishing:
    """A world with two shops, on each kind of database."""
    return wishing(database)
