"""What the adapters' tests share: one adapter of each kind on any server, its asks, and its pages' success bodies."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from schemas.config.provider import ProviderConfig
from schemas.outcomes import Outcome
from tasks.providers.adapter import Adapter, Ask
from tasks.providers.configured import sandbox_provider
from tasks.providers.registry import build

KINDS = ("timepay", "fluents", "signalwire", "vogent", "bird", "twilio", "telnyx", "plivo", "vonage")
TOKEN = "s3cr3t-TOKEN/42"
NUMBER = "+14155550100"
OTHER = "+14155550101"
HOLDING = f"+49{NUMBER[1:]}7"
"""Another number, in which the first stands: what a filter that finds parts lets through."""

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ACCOUNT_SID = f"AC{1:032x}"
"""Twilio's account."""


def config(kind: str, url: str, **changes: Any) -> ProviderConfig:
    policy = {"timeout": 20.0, "connect_timeout": 10.0, **changes.pop("policy", {})}
    return sandbox_provider(kind, url, policy).model_copy(update={"base_url": url, **changes})


def adapter(kind: str, url: str, token: str = TOKEN, **changes: Any) -> Adapter:
    return build(config(kind, url, **changes), token)


def ask(kind: str, number: str = NUMBER) -> Ask:
    """As `prepare` leaves it."""
    return Ask(number=number, options={"stock_item_id": str(uuid5(NAMESPACE_OID, number))} if kind == "bird" else {})


def buy(provider: Adapter, kind: str, number: str = NUMBER) -> Outcome:
    (outcome,) = provider.buy([ask(kind, number)])
    return outcome


def bird_record(number: str = NUMBER, status: Any = "provisioned", order: Any = "fulfilled") -> dict[str, Any]:
    return {
        "id": ID,
        "endpointId": ID,
        "numberString": number,
        "countryCode": "US",
        "order": {"status": order},
        "endpoint": {"provisioningStatus": status},
    }


def plivo_record(number: str = NUMBER) -> dict[str, Any]:
    return {"number": number.removeprefix("+"), "active": True, "added_on": "2026-01-02", "application": None}


def vonage_record(number: str = NUMBER) -> dict[str, Any]:
    return {"country": "US", "msisdn": number.removeprefix("+"), "type": "mobile-lvn", "features": ["VOICE", "SMS"]}


def twilio_record(number: str = NUMBER) -> dict[str, Any]:
    return {
        "sid": ID,
        "account_sid": ACCOUNT_SID,
        "phone_number": number,
        "friendly_name": "a name",
        "date_created": "Thu, 30 Jul 2015 23:19:04 +0000",
        "status": "in-use",
    }


def telnyx_order(number: str = NUMBER, status: Any = "success", **item: Any) -> dict[str, Any]:
    """Its answer to an order; *item* is what else the number's item says."""
    met = {"requirements_met": True, "requirements_status": "approved", **item}
    items = [{"id": "item-1", "phone_number": number, "status": status, **met}]
    return {"data": {"id": ID, "status": "pending", "phone_numbers": items, "customer_reference": None}}


def success(kind: str, number: str = NUMBER) -> tuple[int, Any]:
    """The status and the body with which the kind's page confirms *number*."""
    if kind == "timepay":
        item = {"number": number.removeprefix("+"), "success": True, "error": None}
        return 200, {"success": True, "data": [item]}
    if kind == "fluents":
        return 201, {"id": ID, "user_id": ID, "number": number, "active": True, "example_context": {}}
    if kind == "signalwire":
        return 200, {"id": ID, "number": number, "name": None, "capabilities": ["voice"], "number_type": "longcode"}
    if kind == "plivo":
        item = {"number": number.removeprefix("+"), "status": "Success"}
        return 201, {"api_id": ID, "message": "created", "numbers": [item], "status": "fulfilled"}
    if kind == "twilio":
        return 201, twilio_record(number)
    if kind == "telnyx":
        return 200, telnyx_order(number)
    if kind == "vonage":
        return 200, {"error-code": "200", "error-code-label": "success"}
    if kind == "vogent":
        return 200, {"id": ID, "number": number, "type": "PSTN", "agentId": None}
    return 201, {"results": [bird_record(number)]}
