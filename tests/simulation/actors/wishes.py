"""Orders by criteria: what is for sale, what is sold meanwhile, who orders, and the judge of what is bought."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import tasks.runtime
import workers.periodic.timers
from schemas.status import DEAD, Status
from schemas.tables.wishes import WishState
from tasks.providers.registry import kinds
from tasks.wishes import due, run
from tests.simulation.actors.edits import desk, kind_of
from tests.simulation.requests import ByCriteria, numbers_of
from tests.simulation.scheduler.clockwork import Broken

if TYPE_CHECKING:
    from tests.simulation.world import World

SHARE = 0.4
"""The share of worlds with orders by criteria, where a provider can be searched."""
FOR_SALE = (12, 40, 40)
"""Numbers that there are at each provider."""
RESERVED = 0.5
"""The share of worlds with such orders whose numbers are reserved first, where their provider does so."""
NAMED = ("bandwidth",)
"""Kinds whose reserved numbers are sold to who names the reservation."""
SOLD = "sold to somebody else"
PREFIX = "415"

_LINES = """SELECT w.order_id, w.position, w.count, w.forgiven, w.criteria, p.provider, p.account, p.number,
    CASE WHEN p.error_code = 'gave_way' THEN 'failed' ELSE p.status END AS status
    FROM order_wish w JOIN purchase_order_line l ON l.order_id = w.order_id AND l.wish = w.position
    JOIN purchase p ON p.id = l.purchase_id"""
_ENDED = f"SELECT * FROM order_wish WHERE state IN ('{WishState.SHORT}', '{WishState.FAILED}')"
_TRIED = "SELECT 1 FROM purchase WHERE number = ?1 UNION SELECT 1 FROM pool_number WHERE number = ?1"
_WAITING = "SELECT number FROM purchase WHERE provider = ? AND status IN ('queued', 'dispatched') ORDER BY id"


@contextmanager
def in_seconds(world: World) -> Iterator[None]:
    """Searches, their leases and their minutes are seconds."""
    times = {"SEARCH_AGAIN": timedelta(seconds=2), "LONGEST_WAIT": timedelta(seconds=5), "LEASE": timedelta(seconds=5)}
    every = world.chance("wishes timer").choice((0.5, 2.0))
    with (
        patch.multiple(run, **times),
        patch.multiple(due, RESEND=timedelta(seconds=4), LOOK_AGAIN=timedelta(seconds=1)),
        # Half of a worker's threads.
        patch.object(tasks.runtime, "SEARCHES", 1),
        patch.object(workers.periodic.timers, "WISHES_EVERY", every),
    ):
        yield


class Wishes:
    """The orders by criteria of one world: `orders` are none where it has none."""

    def __init__(self, world: World) -> None:
        rng = world.chance("wishes")
        self._world, self._chance = world, rng
        searched = [kind for kind in world.kinds if kinds()[kind].searches]
        self.orders: list[ByCriteria] = []
        self._moved: object = None
        self._for_sale: dict[str, list[str]] = {}
        if not searched or rng.random() >= SHARE:
            return
        # What others ask for by its number is for sale, too.
        self._for_sale = dict.fromkeys(world.kinds, numbers_of(rng.choice(FOR_SALE)))
        self._stock()
        for kind, numbers in self._for_sale.items():
            world.network.gateways.had_for_sale(kind, numbers)
        reserved = {"reserve": True} if world.chance("reserving").random() < RESERVED else {}
        for number in range(rng.choice((1, 2, 4))):
            some, count = rng.sample(searched, rng.randint(1, len(searched))), rng.choice((1, 2, 4, 6))
            fields = {"count": count, "providers": some, "prefix": PREFIX, "at_least": rng.choice((1, 1, count))}
            self.orders.append(ByCriteria(f"wish-{number}", {**fields, **reserved}))
        self.orders = [one for one in self.orders if one.key not in world.without]

    def sell(self, hit: list[str]) -> None:
        """Others buy: mostly what somebody here is about to."""
        for kind in sorted(self._for_sale) if self.orders else ():
            while self._world.faults.happens(SOLD, about=hit):
                ours = {number for sold_at, number in self._world.judge.charged if sold_at.partition("/")[0] == kind}
                free = [one for one in self._for_sale[kind] if one not in ours]
                wanted = [number for (number,) in self._world.judge.all(_WAITING, kind) if number in free]
                if not free:
                    break
                number = self._chance.choice(wanted if wanted and self._chance.random() < 0.8 else free)
                self._for_sale[kind] = [one for one in self._for_sale[kind] if one != number]
                self._world.clockwork.note(f"{kind} sells {number} to somebody else")
                self._stock()

    def _stock(self) -> None:
        for kind, numbers in self._for_sale.items():
            self._world.network.control.stock(kind, numbers)

    def after_commit(self) -> None:
        """Raises Broken where a wish has more numbers, bought or in doubt, than it counts.

        That what is charged stands in a row that may be is judged for all purchases.
        """
        if not self.orders or self._moved == self._world.files.moved:
            return
        self._moved = self._world.files.moved
        statuses: dict[tuple[str, int, int, int], Counter[str]] = {}
        for order_id, position, count, forgiven, criteria, alias, account, number, status in self._rows():
            kind = kind_of(alias)
            if kind not in json.loads(criteria)["providers"]:
                raise Broken(f"wish {position} of order {order_id} orders {number} at {kind}, which it does not name")
            one = desk(kind, account), number
            self._world.asked.add((kind, number))
            counted = statuses.setdefault((order_id, position, count, forgiven), Counter())
            counted[status] += one not in self._world.judge.unseen
        for (order_id, position, count, forgiven), found in statuses.items():
            cancelled = found[Status.CANCELLED]
            alive = sum(n for status, n in found.items() if status not in DEAD) + max(0, cancelled - forgiven)
            if alive > count:
                told = ", ".join(f"{n} {status}" for status, n in sorted(found.items()))
                raise Broken(f"wish {position} of order {order_id} has {told}, and was to have {count}")

    def at_the_end(self) -> None:
        """Raises Broken where a wish ended without all its numbers though there were more for it."""
        if self._world.edits.done or self._world.weather.went_back:
            return
        for wish in self._world.judge.all(_ENDED) if self.orders else ():
            lines = [row for row in self._rows() if (row[0], row[1]) == (wish["order_id"], wish["position"])]
            missing = wish["count"] - sum(row["status"] != Status.FAILED for row in lines)
            # Where a search has no pages, what others here wait for may hide the rest; so may a gateway's empty list.
            hides = self._world.network.gateways.spoiled
            named = [kind for kind in json.loads(wish["criteria"])["providers"] if kind not in hides]
            # Nor is a reservation whose answer was lost seen by any search until it lapses, nor sold without its name.
            lost = NAMED if wish["reserve"] else ()
            named = [kind for kind in named if kind not in lost]
            at = [kind for kind in named if kinds()[kind].narrows is None and not self._world.paging.hides(kind)]
            more = {one for kind in at for one in self._for_sale[kind] if self._world.judge.one(_TRIED, one) is None}
            needed = wish["at_least"] if wish["state"] == WishState.FAILED else 1
            # What a person cancelled is not missing.
            if missing > 0 and len(more) >= needed:
                raise Broken(f"wish {wish['position']} of order {wish['order_id']} ends, and {min(more)} is for sale")

    def _rows(self) -> list[Any]:
        return self._world.judge.all(_LINES)
