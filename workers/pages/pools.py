"""Pools: level, what is on the way, thresholds, what was bought, the next run."""

from __future__ import annotations

from workers.pages.frame.handler import Page
from workers.pages.frame.templates import Document
from workers.views.desk import Desk
from workers.views.pools import pool_document, pool_rows


class Pools(Page):
    """All pools."""

    template = "pools"
    tab = "dialstock_pools"

    def read(self, desk: Desk, *_: str) -> Document:
        """One row for each."""
        return {"pools": pool_rows(desk.runtime)}


class Pool(Page):
    """One pool with its configuration, and its last runs that lacked numbers."""

    template = "pool"
    tab = "dialstock_pools"

    def read(self, desk: Desk, *names: str) -> Document:
        """By its name."""
        return pool_document(desk.runtime, names[0])
