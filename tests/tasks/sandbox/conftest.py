from __future__ import annotations

from tests.tasks.providers.conftest import sandbox, sandbox_server, shopper

__all__ = ["sandbox", "sandbox_server", "shopper"]
