from __future__ import annotations

import pytest

from tests.tasks.releasing import Returns, make_returns
from workers.database.connections import SqlDatabase


@pytest.fixture
def returns(database: SqlDatabase) -> Returns:
    """A world, on each kind of database, whose provider takes numbers back."""
    return make_returns(database)
