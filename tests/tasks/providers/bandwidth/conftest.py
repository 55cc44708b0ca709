from __future__ import annotations

import pytest

from tasks.providers.adapter import Adapter, Ask
from tests.scripted import ScriptedServer
from tests.tasks.providers.adapters import NUMBER, adapter
from tests.tasks.providers.bandwidth.answers import LOGIN


@pytest.fixture
def provider(server: ScriptedServer) -> Adapter:
    """An adapter that has a token."""
    found = adapter("bandwidth", server.url)
    server.queue(LOGIN)
    assert isinstance(found.prepare(Ask(number=NUMBER)), Ask)
    server.seen.clear()
    return found
