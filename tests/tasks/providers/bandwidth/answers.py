"""What Bandwidth answers."""

from __future__ import annotations

from typing import Any

from schemas.outcomes import Look, Outcome
from tasks.providers.adapter import Adapter, Ask, Known
from tasks.providers.transport.xml import write_xml
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import ID, NUMBER

REFERENCE = "0193b2c4-0000-7000-8000-000000000001-7"
ACCESS = "acc3ss-TOKEN"
ACCOUNT = "9900000"
PATH = f"/api/v2/accounts/{ACCOUNT}"
THIRD = "+14155550102"
LOGIN = reply(200, {"access_token": ACCESS, "token_type": "Bearer", "expires_in": 3600})
LAUGHS = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><OrderResponse><Order>&b;</Order></OrderResponse>'
BY_ID, BY_NAME = Known(order_id=ID), Known(references=(REFERENCE,))


def xml(root: str, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    return reply(status, write_xml(root, body), {"Content-Type": "application/xml", **(headers or {})})


def order(status: Any = "RECEIVED", number: str = NUMBER, **changes: Any) -> dict[str, Any]:
    wanted = {"TelephoneNumberList": {"TelephoneNumber": [number]}}
    inner = {"CustomerOrderId": REFERENCE, "id": ID, "ExistingTelephoneNumberOrderType": wanted, "SiteId": "1234"}
    return {"Order": {**inner, **changes}, "OrderStatus": status}


def complete(number: str = NUMBER) -> dict[str, Any]:
    return {**order("COMPLETE"), "CompletedNumbers": {"TelephoneNumber": [{"FullNumber": number}]}}


def failed(*codes: str, about: str | None = NUMBER, status: str = "FAILED") -> dict[str, Any]:
    listed = [{"Code": code, "Description": "words", "TelephoneNumber": about} for code in codes]
    return {**order(status), "ErrorList": {"Error": listed}, "FailedNumbers": {"FullNumber": [NUMBER]}}


def record(number: str, status: Any = "Inservice", account: Any = ACCOUNT) -> dict[str, Any]:
    return {"FullNumber": number, "Status": status, "AccountId": account}


def listed(*records: dict[str, Any], count: Any = None, following: str | None = None, **more: Any) -> bytes:
    body = {
        "TelephoneNumberCount": len(records) if count is None else count,
        "Links": {"first": "x", "next": following},
        "TelephoneNumbers": {"TelephoneNumber": list(records)},
    }
    return xml("TelephoneNumbersResponse", {**body, **more})


def one(number: str = NUMBER, status: Any = "Inservice", account: Any = ACCOUNT) -> bytes:
    return xml("TelephoneNumberResponse", {"TelephoneNumberDetails": record(number, status, account)})


def named(*ids: str, count: Any = None, reference: str = REFERENCE, **more: Any) -> bytes:
    found = [{"orderId": one, "CustomerOrderId": reference, "OrderStatus": "RECEIVED"} for one in ids]
    inner = {"TotalCount": len(ids) if count is None else count, "Links": {}, "OrderIdUserIdDate": found, **more}
    return xml("ResponseSelectWrapper", {"ListOrderIdUserIdDate": inner})


def buy(provider: Adapter, server: ScriptedServer, *answers: bytes) -> Outcome:
    server.queue(*answers)
    (outcome,) = provider.buy([Ask(number=NUMBER, reference=REFERENCE)])
    return outcome


def look(provider: Adapter, server: ScriptedServer, known: Known, *answers: bytes) -> Look:
    server.clear()
    server.seen.clear()
    server.queue(*answers)
    return provider.look({NUMBER: known})[NUMBER]
