"""Pools: level, what is on the way, thresholds, what was bought, the next run."""

from __future__ import annotations

from collections.abc import Sequence

from workers.pages.frame.drawing import steps
from workers.pages.frame.handler import Page
from workers.pages.frame.templates import Document
from workers.views.desk import Desk
from workers.views.pools import pool_document, pool_picture, pool_rows
from workers.views.words import count

FRESH = 10.0
"""Seconds for which a pool's picture is shown again."""


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
        document, name = pool_document(desk.runtime, names[0]), names[0]
        drawn = self.desk.shared.get(("pool", name), FRESH, lambda: pool_picture(desk.runtime, name))
        return {**document, "picture": drawn}

    def shown(self, document: Document) -> Document:
        """The picture of the last 7 days, and what was spent, in words."""
        pool, picture = document["pool"], document["picture"]
        levels = [level for _, level in picture["available"]]
        lines = {name: pool[name] for name in ("low", "target") if pool[name] is not None}
        marks = "".join(f", {name} is {level:,}" for name, level in lines.items())
        about = f"Available in the last 7 days: {min(levels):,} to {max(levels):,}, now {levels[-1]:,}{marks}"
        spent = {name: _spent(picture[name]) for name in ("spent_24h", "spent_7d")}
        return {**document, **spent, "drawing": steps(picture["available"], lines, about)}


def _spent(found: Sequence[Document]) -> str:
    """What numbers cost, setup and first month."""
    sums = [f"{one['total']} {one['currency']}" for one in found if one["currency"]]
    without = sum(one["bought"] if one["currency"] is None else one["without_monthly"] for one in found)
    return ", ".join([*sums, *([f"{count(without, 'number')} without a price"] if without else [])]) or "nothing"
