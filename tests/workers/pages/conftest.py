"""Pages over the tables that the command line's tests fill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.workers.cli.conftest import both, cli, desk, home
from tests.workers.cli.running import Cli
from tests.workers.pages.serving import Visitor, flower_at

__all__ = ["both", "cli", "desk", "home"]


@pytest.fixture
def visitor(both: Cli) -> Iterator[Visitor]:
    """Ann, whom Flower's password lets in, on SQLite, then on PostgreSQL."""
    with flower_at() as address, Visitor(address) as found:
        yield found


@pytest.fixture
def light(cli: Cli) -> Iterator[Visitor]:
    """The same on SQLite alone, for what touches no SQL of its own."""
    with flower_at() as address, Visitor(address) as found:
        yield found
