from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.providers.turns import at_once, in_turn
from tests.scripted import ScriptedServer


@pytest.fixture(autouse=True)
def _every_call_has_its_turn() -> Iterator[None]:
    with in_turn(at_once):
        yield


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running
