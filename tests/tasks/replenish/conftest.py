from __future__ import annotations

from tests.tasks.pools.conftest import make, world

__all__ = ["make", "world"]
