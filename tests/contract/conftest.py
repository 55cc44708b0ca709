from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.providers.transport.turns import at_once, in_turn
from tasks.sandbox import SandboxServer
from tests.scripted import ScriptedServer


@pytest.fixture(autouse=True)
def _every_call_has_its_turn() -> Iterator[None]:
    with in_turn(at_once):
        yield


@pytest.fixture(scope="package")
def running() -> Iterator[SandboxServer]:
    with SandboxServer(port=0) as server:
        yield server


@pytest.fixture
def sandbox(running: SandboxServer) -> SandboxServer:
    running.control.reset()
    running.control.provisioning(0)
    return running


@pytest.fixture(params=["timepay", "fluents", "signalwire", "vogent", "bird"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers what a test tells it."""
    with ScriptedServer() as scripted:
        yield scripted
