"""The judge of orders with `--max`: no more is bought than that, by what anybody could know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from schemas.status import DEAD
from tests.simulation.actors.edits import desk, kind_of
from tests.simulation.judges.standing import IN_DOUBT, One
from tests.simulation.scheduler.clockwork import Broken

if TYPE_CHECKING:
    from tests.simulation.world import World

_DEAD = ", ".join(f"'{status}'" for status in sorted(DEAD))
_LIMITED = f"""SELECT o.id AS order_id, o.max_purchases AS most, p.provider, p.account, p.number, p.status, p.doubt
    FROM purchase_order o JOIN purchase p ON p.order_id = o.id
    WHERE o.max_purchases IS NOT NULL AND p.status NOT IN ({_DEAD})"""


class OrderLimits:
    """Raises Broken. Where servers have no names, what a restore lost counts from when its row says so: until then
    nobody could count it, and what the order had called for elsewhere by that moment, it may have beside it.

    What was bought for others, and stands in an order by what a restore brought back, is none that this one bought.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lost: set[One] = set()
        self._beside: set[One] = set()
        self._bought_for: dict[One, str | None] = {}

    def after_commit(self) -> None:
        """Find out what is lost, and what is no more."""
        adrift = self._world.judge.adrift
        if self._world.files.named or not (adrift or self._lost):
            return
        rows = self._rows()
        lost = {one for one, row in rows.items() if one in adrift and not row["doubt"]}
        for one in self._lost - lost:
            if one in rows and self._called_for_elsewhere(rows, one):
                self._beside.add(one)
        self._lost = lost

    def _called_for_elsewhere(self, rows: dict[One, Any], one: One) -> bool:
        charged, order_id = self._world.judge.charged, rows[one]["order_id"]
        others = ((other, row) for other, row in rows.items() if other != one and row["order_id"] == order_id)
        return any(charged[other] or row["status"] in IN_DOUBT for other, row in others)

    def after_charge(self, ones: Sequence[One]) -> None:
        """*ones* were bought."""
        judge, bought, rows = self._world.judge, Counter[tuple[str, int]](), self._rows()
        for one in ones:
            if one in judge.standing():
                self._bought_for[one] = rows[one]["order_id"] if one in rows else None
        excused = judge.unseen | self._lost | self._beside
        for one, row in rows.items():
            of_others = self._bought_for.get(one, row["order_id"]) != row["order_id"]
            bought[row["order_id"], row["most"]] += judge.charged[one] > 0 and not of_others and one not in excused
        for (order_id, most), count in bought.items():
            if count > most:
                raise Broken(f"order {order_id} bought {count} numbers, and was to buy {most} at most")

    def _rows(self) -> dict[One, Any]:
        rows = self._world.judge.all(_LIMITED)
        return {(desk(kind_of(row["provider"]), row["account"]), row["number"]): row for row in rows}
