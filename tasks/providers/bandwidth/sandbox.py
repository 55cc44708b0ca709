"""Bandwidth's sandbox, after its specification of numbers: tokens, orders, owned numbers and the search.

An order is answered 201, whatever becomes of it, but for what does not validate. 5005 is the code of each number that
cannot be had. Tokens are answered as RFC 6749 says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from tasks.providers.bandwidth.sandbox_orders import disconnect, ended, in_list, order, read_body, status, xml_reply
from tasks.providers.bandwidth.sandbox_reservations import RESERVATIONS, ReservingApi
from tasks.providers.sandbox.api import AccountReason, Line, Order, basic_credentials, route
from tasks.providers.sandbox.exchange import Incoming, Invalid, Problem, Refusal, Reply, is_e164
from tasks.providers.sandbox.ledger import Record
from tasks.providers.transport.xml import many

_ACCOUNT = "/api/v2/accounts/{account}"
_ORDER = (
    *("CustomerOrderId", "Name", "SiteId", "PeerId", "PartialAllowed", "BackOrderRequested"),
    *("ExistingTelephoneNumberOrderType",),
)
_AREAS = {"areaCode": 3, "npaNxx": 6, "npaNxxx": 7}
_REFERENCE = 40


class BandwidthApi(ReservingApi):
    """POST and GET orders, GET numbers, GET what is for sale, reservations; the account is in the path."""

    success = 201
    routes = (
        route("POST", "/api/v1/oauth2/token", "give_token"),
        route("POST", f"{_ACCOUNT}/orders"),
        route("GET", f"{_ACCOUNT}/orders", "list_orders"),
        route("GET", f"{_ACCOUNT}/orders/{{id}}", "get_order"),
        route("POST", f"{_ACCOUNT}/disconnects", "disconnected", gives_back=True),
        *RESERVATIONS,
        route("GET", f"{_ACCOUNT}/availableNumbers", "search"),
        route("GET", "/api/v2/tns", "list_owned"),
        route("GET", "/api/v2/tns/{number}", "get"),
    )

    def authorize(self, incoming: Incoming) -> None:
        """Basic for a token, and the token for all else."""
        if incoming.path.endswith("/oauth2/token"):
            client, secret = basic_credentials(incoming)
            if not client or secret != self.token:
                raise Refusal(Reply(401, {"error": "invalid_client"}))
        elif incoming.headers.get("Authorization", "") != f"Bearer access-{self.token}":
            raise Refusal(self.account_refused("credentials", ()))

    def account(self, incoming: Incoming) -> str:
        """The account of the path."""
        return incoming.args[0]

    def id_of(self, record: Record) -> str:
        """A number has no id but itself."""
        return record.number

    def give_token(self, incoming: Incoming) -> Reply:
        """A token for an hour; its answer is JSON."""
        if incoming.form() != {"grant_type": "client_credentials"}:
            return Reply(400, {"error": "unsupported_grant_type"})
        return Reply(200, {"access_token": f"access-{self.token}", "token_type": "Bearer", "expires_in": 3600})

    def read_order(self, incoming: Incoming) -> Order:
        """An <Order> of named numbers, with its wrapper and its sub-account."""
        wanted = read_body(incoming).get("Order")
        if not isinstance(wanted, dict):
            raise Invalid(Problem("", "the root is no Order", "5001"))
        strange = [Problem(name, f"{name} is unknown", "5001") for name in wanted if name not in _ORDER]
        wrapper = wanted.get("ExistingTelephoneNumberOrderType")
        if not isinstance(wrapper, dict):
            raise Refusal(self.failed())
        numbers = many(wrapper.get("TelephoneNumberList", {}).get("TelephoneNumber"))
        problems = [*strange, *_problems(wanted, numbers)]
        if problems:
            raise Invalid(*problems)
        partial = wanted.get("PartialAllowed") == "true"
        extra = {"order_id": str(uuid4()), "reference": wanted.get("CustomerOrderId"), "site": wanted["SiteId"]}
        extra["partial"] = partial
        extra["reservations"] = many(wrapper.get("ReservationIdList", {}).get("ReservationId"))
        return Order(account=self.account(incoming), numbers=numbers, extra=extra, partial=partial)

    def sold(self, lines: Sequence[Line]) -> Reply:
        """201: the order was received."""
        records = [line.record for line in lines if line.state != "missing"]
        if not records:
            return xml_reply(201, "OrderResponse", {"OrderStatus": "RECEIVED"})
        response = {"Order": order(records), "OrderStatus": "RECEIVED"}
        return xml_reply(201, "OrderResponse", response, {"Location": f"orders/{records[0].extra['order_id']}"})

    def take(self, lines: Sequence[Line]) -> None:
        """What is refused fails later, and all with it where no part is wanted."""
        self.used(lines)
        refused = [line.record for line in lines if line.state == "refused"]
        whole = [line.record for line in lines] if refused and not lines[0].record.extra["partial"] else refused
        for record in whole:
            self.ledger.take(replace(record, extra={**record.extra, "code": "5005"}))

    def disconnected(self, incoming: Incoming) -> Record | None:
        """The number of ours that a <DisconnectTelephoneNumberOrder> names; one goes in an order here."""
        wanted = read_body(incoming).get("DisconnectTelephoneNumberOrder")
        wrapper = wanted.get("DisconnectTelephoneNumberOrderType") if isinstance(wanted, dict) else None
        if not isinstance(wrapper, dict):
            raise Invalid(Problem("", "the root or its type is no order to disconnect", "5001"))
        numbers = many(wrapper.get("TelephoneNumberList", {}).get("TelephoneNumber"))
        if len(numbers) != 1 or not is_e164(numbers[0]):
            raise Invalid(Problem("TelephoneNumber", "one number", "5002"))
        return self.ledger.find(self.kind, self.account(incoming), numbers[0])

    def given_back(self, record: Record) -> Reply:
        """201: the order was received. Here it is carried out at once."""
        return xml_reply(201, "DisconnectTelephoneNumberOrderResponse", disconnect(record.number))

    def not_found(self) -> Reply:
        """400 with 5006."""
        message = "The telephone number could not be disconnected since it is not associated with your account"
        return self.invalid(Invalid(Problem("TelephoneNumber", message, "5006")))

    def list_orders(self, incoming: Incoming) -> Reply:
        """Orders by our name of the call."""
        incoming.only("page", "size", "customerOrderId")
        wanted = incoming.text("customerOrderId")
        orders = self.ledger.orders(self.kind, self.account(incoming))
        listed = [in_list(one) for one in orders if wanted in ("", one[0].extra["reference"])]
        inner = {"TotalCount": len(listed), "Links": {}, "OrderIdUserIdDate": listed}
        return xml_reply(200, "ResponseSelectWrapper", {"ListOrderIdUserIdDate": inner})

    def get_order(self, incoming: Incoming) -> Reply:
        """One order by its id, with what became of its numbers."""
        orders = self.ledger.orders(self.kind, self.account(incoming))
        found = next((one for one in orders if one[0].extra["order_id"] == incoming.args[1]), None)
        return Reply(404, None) if found is None else xml_reply(200, "OrderResponse", ended(found))

    def list_owned(self, incoming: Incoming) -> Reply:
        """An account's numbers, page by page; a page is named by where it starts, but the first, which is 1."""
        incoming.only("accountId", "page", "size")
        account, size = incoming.text("accountId"), incoming.whole("size", 500, 1, 2500)
        page = incoming.whole("page", 1, 1, 10**9)
        start = 0 if page == 1 else page
        owned = list(filter(self._shows, self.ledger.owned(self.kind, account)))
        shown = [_details(record, account) for record in owned[start : start + size]]
        address = f"https://api.bandwidth.com/api/v2/tns?accountId={account}&page={{}}&size={size}"
        links = {"first": f'Link=<{address.format(1)}>;rel="first";'}
        if start + size < len(owned):
            links["next"] = f'Link=<{address.format(start + size)}>;rel="next";'
        body = {"TelephoneNumberCount": len(owned), "Links": links, "TelephoneNumbers": {"TelephoneNumber": shown}}
        return xml_reply(200, "TelephoneNumbersResponse", body)

    def get(self, incoming: Incoming) -> Reply:
        """One number, whoever has it."""
        number = unquote(incoming.args[0])
        owner = next((record for record in self.ledger.everywhere(self.kind) if record.number == number), None)
        if owner is None or not self._shows(owner):
            return Reply(404, None)
        return xml_reply(200, "TelephoneNumberResponse", {"TelephoneNumberDetails": _details(owner, "9900000")})

    def _shows(self, record: Record) -> bool:
        return self.ledger.lists(record) and status(record)[0] != "FAILED"

    def search(self, incoming: Incoming) -> Reply:
        """Numbers for sale by area code and more; nothing is held."""
        incoming.only(*_AREAS, "quantity", "LCA", "enableTNDetail")
        quantity = incoming.whole("quantity", 5000, 1, 5000)
        given = [(name, incoming.text(name)) for name in _AREAS if incoming.text(name)]
        if len(given) != 1 or not given[0][1].isdecimal() or len(given[0][1]) != _AREAS[given[0][0]]:
            error = {"Code": "4000", "Description": "one of areaCode, npaNxx and npaNxxx is needed"}
            raise Refusal(xml_reply(400, "SearchResult", {"Error": error, "ResultCount": 0}))
        free = (one for one in self.for_sale("US", given[0][1]) if self.inventory.held(self.kind, one) is None)
        found = list(islice(free, quantity))
        listed = {"ResultCount": len(found), "TelephoneNumberList": {"TelephoneNumber": found}}
        return xml_reply(200, "SearchResult", listed)

    def describe(self, record: Record) -> dict[str, Any]:
        """The record of a number."""
        return _details(record, record.account or "")

    def invalid(self, exc: Invalid) -> Reply:
        """400, with a code for each problem."""
        listed = [{"Code": problem.code, "Description": problem.message} for problem in exc.problems]
        return xml_reply(400, "OrderResponse", {"ErrorList": {"Error": listed}})

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:  # noqa: ARG002 - the call's
        """401 without a body, 402 for credit, 5007 for the capacity."""
        if reason == "quota":
            return self.invalid(Invalid(Problem("", "The capacity of the account is exceeded", "5007")))
        return Reply(401 if reason == "credentials" else 402, None)

    def throttled(self) -> Reply:
        """429 without a body."""
        return Reply(429, None)

    def failed(self) -> Reply:
        """500; what it says is not documented."""
        return Reply(500, None)


def _problems(wanted: Mapping[str, Any], numbers: Sequence[Any]) -> list[Problem]:
    reference, site = wanted.get("CustomerOrderId", ""), wanted.get("SiteId", "")
    found = []
    if not isinstance(site, str) or not site.isdecimal():
        found.append(Problem("SiteId", "The sub-account is missing or wrong", "5022"))
    allowed = isinstance(reference, str) and reference.replace("-", "").replace(" ", "").isalnum()
    if reference and (not allowed or len(reference) > _REFERENCE):
        found.append(Problem("CustomerOrderId", "letters, digits, dashes and blanks, 40 at most", "5052"))
    if wanted.get("BackOrderRequested") == "true":
        found.append(Problem("BackOrderRequested", "not allowed for named numbers", "5522"))
    if not numbers or not all(is_e164(number) and number.startswith("+1") for number in numbers):
        found.append(Problem("TelephoneNumber", "numbers of +1", "5002"))
    if len(set(map(str, numbers))) < len(numbers):
        found.append(Problem("TelephoneNumber", "a number stands there twice", "5072"))
    return found


def _details(record: Record, account: str) -> dict[str, Any]:
    return {
        "FullNumber": record.number,
        "Status": "Inservice" if status(record)[0] == "COMPLETE" else "InAccount",
        "AccountId": record.account or account,
        "OrderId": record.extra.get("order_id"),
        "LastModified": record.at,
    }
