"""A shopper who speaks all dialects."""

from __future__ import annotations

from typing import Any

import httpx

from tasks.providers.transport.http import ssl_context
from tests.waiting import PATIENCE

KINDS = ("timepay", "fluents", "signalwire", "vogent", "bird", "twilio", "plivo", "vonage")
CONNECTION = "550e8400-e29b-41d4-a716-446655440000"
BEARER = {"Authorization": "Bearer sandbox"}
ACCESS_KEY = {"Authorization": "AccessKey sandbox"}
BASIC = httpx.BasicAuth("project", "sandbox")
ACCOUNT_SID = f"AC{7:032x}"
TWILIO = f"/2010-04-01/Accounts/{ACCOUNT_SID}"
PLIVO = "/v1/Account/project/"
TWILIO_AUTH = httpx.BasicAuth(ACCOUNT_SID, "sandbox")
NUMBER = "+14155550100"
OTHER = "+14155550101"


class Shopper:
    """Buys as each provider's page has it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE, verify=ssl_context())

    def buy(self, kind: str, *numbers: str, timeout: float = PATIENCE) -> httpx.Response:
        """One purchase call; only TimePay and Bird take more than one number."""
        path, options = getattr(self, f"_{kind}")(*numbers)
        return self.client.post(f"/{kind}{path}", timeout=timeout, **options)

    def outcome(self, kind: str, *numbers: str, timeout: float = PATIENCE) -> str:
        """What a purchase came to in one word: a status, or the name of the client's error."""
        try:
            return str(self.buy(kind, *numbers, timeout=timeout).status_code)
        except httpx.HTTPError as exc:
            return type(exc).__name__

    def get(self, path: str, **params: Any) -> httpx.Response:
        """A reading call with the credentials of the path's provider."""
        kind = path.split("/")[1]
        if kind in ("signalwire", "plivo", "vonage"):
            return self.client.get(path, params=params, auth=BASIC)
        if kind == "twilio":
            return self.client.get(path, params=params, auth=TWILIO_AUTH)
        return self.client.get(path, params=params, headers=ACCESS_KEY if kind == "bird" else BEARER)

    def stock_item(self, number: str) -> str:
        """The id under which Bird sells *number*."""
        found = self.get("/bird/organizations/o/numbers-stock-items", prefix=number, countryCodes="US")
        return str(found.json()["results"][0]["id"])

    def _timepay(self, *numbers: str) -> tuple[str, Any]:
        items = [{"number": number.removeprefix("+"), "provider": "plivo"} for number in numbers]
        return "/api/v1/numbers/buyNumbers", {"json": items, "headers": BEARER}

    def _fluents(self, number: str) -> tuple[str, Any]:
        body = {"phone_number": number, "telephony_provider": "twilio", "telephony_account_connection": CONNECTION}
        return "/v1/numbers/buy", {"json": body, "headers": BEARER}

    def _signalwire(self, number: str) -> tuple[str, Any]:
        return "/api/relay/rest/phone_numbers", {"json": {"number": number}, "auth": BASIC}

    def _plivo(self, number: str) -> tuple[str, Any]:
        return f"{PLIVO}PhoneNumber/{number.removeprefix('+')}/", {"json": {}, "auth": BASIC}

    def _twilio(self, number: str) -> tuple[str, Any]:
        return f"{TWILIO}/IncomingPhoneNumbers.json", {"data": {"PhoneNumber": number}, "auth": TWILIO_AUTH}

    def _vonage(self, number: str) -> tuple[str, Any]:
        return "/number/buy", {"data": {"country": "US", "msisdn": number.removeprefix("+")}, "auth": BASIC}

    def _vogent(self, number: str) -> tuple[str, Any]:
        return "/api/phone_numbers", {"json": {"type": "purchase", "purchase": {"number": number}}, "headers": BEARER}

    def _bird(self, *numbers: str) -> tuple[str, Any]:
        items = [self.stock_item(number) for number in numbers]
        return "/workspaces/w/numbers-long-code", {"json": {"numberStockItemIds": items}, "headers": ACCESS_KEY}
