from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.conformance.fixtures import _every_call_has_its_turn, running, sandbox
from tasks.providers.registry import kinds
from tests.scripted import ScriptedServer

__all__ = ["_every_call_has_its_turn", "running", "sandbox"]


@pytest.fixture(params=list(kinds()))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers what a test tells it."""
    with ScriptedServer() as scripted:
        yield scripted
