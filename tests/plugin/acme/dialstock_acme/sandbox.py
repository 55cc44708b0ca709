"""Acme's side of the sandbox, after its page 'Numbers'."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from tasks.providers.sandbox.api import AccountReason, Order, RefusalReason, SingleNumberApi, route
from tasks.providers.sandbox.exchange import E164, TEXT, Incoming, Invalid, Reply, check_object
from tasks.providers.sandbox.ledger import Record

_PAGE = 50


class AcmeApi(SingleNumberApi):
    success = 201
    routes = (
        route("POST", "/teams/{team}/numbers"),
        route("GET", "/teams/{team}/numbers", "list_owned"),
        route("GET", "/for-sale", "search"),
    )

    def account(self, incoming: Incoming) -> str:
        return incoming.args[0] if incoming.args else ""

    def read_order(self, incoming: Incoming) -> Order:
        body = check_object(incoming.json(), {"number": E164}, {"label": TEXT})
        return Order(account=self.account(incoming), numbers=[body["number"]])

    def list_owned(self, incoming: Incoming) -> Reply:
        owned = self.ledger.owned(self.kind, self.account(incoming))
        begin = int(incoming.text("after") or 0)
        more = str(begin + _PAGE) if begin + _PAGE < len(owned) else None
        return Reply(200, {"numbers": [self.describe(one) for one in owned[begin : begin + _PAGE]], "next": more})

    def search(self, incoming: Incoming) -> Reply:
        found = self.for_sale(incoming.text("country"), incoming.text("prefix"))
        limit = int(incoming.text("limit"))
        return Reply(200, {"numbers": [{"number": number} for number in islice(found, limit)]})

    def describe(self, record: Record) -> dict[str, Any]:
        return {"id": record.id, "number": record.number}

    def refused(self, reason: RefusalReason) -> Reply:
        return Reply(422, {"message": f"the number is {reason}"})

    def invalid(self, exc: Invalid) -> Reply:
        return Reply(400, {"message": str(exc)})

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:
        return Reply(401 if reason == "credentials" else 402, {"message": reason})

    def throttled(self) -> Reply:
        return Reply(429, {"message": "slow down"})

    def failed(self) -> Reply:
        return Reply(500, {"message": "something went wrong"})
