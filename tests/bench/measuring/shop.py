"""A provider with a stock, as cheap as the stub: Plivo's search, of 20 numbers a page, its list and its purchase.

python -m tests.bench.measuring.shop LATENCY_SECONDS SHOP STOCK SOLD    prints its URL

SOLD in a hundred numbers are somebody else's by the time they are asked for; the search shows them until then. No
number is for sale at two shops. GET /log tells when each purchase call came (Unix time), what was sold and refused,
and how many searches there were.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from itertools import islice
from typing import ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.bench.measuring.stub import Stub, serve

PAGE = 20
AREA = "415"
SHOPS = 3

_GONE = json.dumps({"api_id": "bench", "error": "number is not available"}), "404 Not Found"


class Shop(Stub):
    """One connection; `stock` is what the searches show, and whether somebody else has it."""

    stock: ClassVar[dict[str, bool]] = {}
    sold: ClassVar[list[str]] = []
    refused: ClassVar[list[str]] = []
    searches: ClassVar[list[str]] = []

    def answer(self, head: bytes, _body: bytes) -> None:
        """A GET at once, a POST after the latency."""
        method, target = head.decode().split(" ", 2)[:2]
        if method == "GET":
            self.send(json.dumps(self.tell(head)))
            return
        self.times.append(time.time())
        number = target.rstrip("/").rpartition("/")[2]
        gone = self.stock.pop(number, True)
        (self.refused if gone else self.sold).append(number)
        record = json.dumps({"api_id": "bench", "numbers": [{"number": number, "status": "Success"}]})
        asyncio.get_running_loop().call_later(self.latency, self.send, *(_GONE if gone else (record, "201 Created")))

    def tell(self, head: bytes) -> object:
        """The log, a page of what is for sale, or of what is owned."""
        target = urlsplit(head.decode().split(" ", 2)[1])
        if target.path == "/log":
            return {"times": self.times, "sold": self.sold, "refused": self.refused, "searches": len(self.searches)}
        query = dict(parse_qsl(target.query))
        begin = int(query["offset"])
        if target.path.endswith("/PhoneNumber/"):
            self.searches.append(target.query)
            found = [*islice(self.stock, begin, begin + PAGE + 1)]
        else:
            found = [number for number in self.sold if number.startswith(query.get("number_startswith", ""))]
        following = f"{target.path}?{urlencode({**query, 'offset': begin + PAGE})}" if len(found) > PAGE else None
        objects = [{"number": number, "active": True} for number in found[:PAGE]]
        meta = {"limit": PAGE, "offset": begin, "next": following, "previous": None}
        return {"api_id": "bench", "meta": meta, "objects": objects}


def stocked(shop: int, count: int, sold: int) -> dict[str, bool]:
    """*count* numbers in no order, of which about *sold* in a hundred, in no order either, are somebody else's."""
    rng = random.Random(shop)
    lines = rng.sample(range(2_000_000 + shop, 10_000_000, SHOPS), count)
    return {f"1{AREA}{line}": rng.randrange(100) < sold for line in lines}


if __name__ == "__main__":
    Shop.stock.update(stocked(*map(int, sys.argv[2:])))
    asyncio.run(serve(Shop, float(sys.argv[1])))
