"""A server that answers what a test tells it, and one sandbox for each test file, emptied after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.providers.transport.turns import at_once, in_turn
from tasks.sandbox import SandboxServer
from tests.scripted import ScriptedServer
from tests.tasks.providers.shopper import Shopper


@pytest.fixture(autouse=True)
def _every_call_has_its_turn() -> Iterator[None]:
    with in_turn(at_once):
        yield


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(scope="module")
def sandbox_server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> Iterator[SandboxServer]:
    yield sandbox_server
    sandbox_server.control.reset()


@pytest.fixture
def shopper(sandbox: SandboxServer) -> Iterator[Shopper]:
    shopper = Shopper(sandbox.url)
    yield shopper
    shopper.client.close()
