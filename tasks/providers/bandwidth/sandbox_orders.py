"""Orders as Bandwidth's sandbox reads and shows them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from tasks.providers.sandbox.exchange import Incoming, Invalid, Problem, Reply
from tasks.providers.sandbox.ledger import Record, now_text
from tasks.providers.transport.xml import XML_TYPE, NotXml, read_xml, write_xml

_HEADERS = {"Content-Type": f"{XML_TYPE}; charset=utf-8"}


def read_body(incoming: Incoming) -> dict[str, Any]:
    """The document that a request carries. Raises Invalid."""
    declared = incoming.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if declared != XML_TYPE:
        raise Invalid(Problem("", f"Content-Type must be {XML_TYPE}", "5001"), malformed=True)
    try:
        return read_xml(incoming.body.decode())
    except (NotXml, UnicodeError) as exc:
        raise Invalid(Problem("", "the body is no XML", "5001"), malformed=True) from exc


def xml_reply(status: int, root: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
    """An answer that is a document."""
    return Reply(status, write_xml(root, body).decode(), {**_HEADERS, **(headers or {})})


def status(record: Record) -> tuple[str, str | None]:
    """What became of one number of an order, in the words of OrderStatus, and the code of what failed."""
    if "code" in record.extra:
        return "FAILED", record.extra["code"]
    if time.monotonic() < record.ready_at:
        return "RECEIVED", None
    return ("COMPLETE", None) if record.fulfilled else ("FAILED", "5003")


def order(records: Sequence[Record]) -> dict[str, Any]:
    """The Order that was asked for."""
    extra = records[0].extra
    numbers = [record.number for record in records]
    return {
        "CustomerOrderId": extra["reference"],
        "OrderCreateDate": records[0].at,
        "BackOrderRequested": False,
        "id": extra["order_id"],
        "ExistingTelephoneNumberOrderType": {"TelephoneNumberList": {"TelephoneNumber": numbers}},
        "PartialAllowed": extra["partial"],
        "SiteId": extra["site"],
    }


def in_list(records: Sequence[Record]) -> dict[str, Any]:
    """An order as the list of orders shows it."""
    names = {"CustomerOrderId": records[0].extra["reference"], "orderId": records[0].extra["order_id"]}
    return {**names, "OrderStatus": _whole(records), "OrderDate": records[0].at}


def ended(records: Sequence[Record]) -> dict[str, Any]:
    """An order by its id, with what became of its numbers."""
    found = [(record.number, *status(record)) for record in records]
    done = [{"FullNumber": number} for number, word, _ in found if word == "COMPLETE"]
    failed = [(number, code) for number, _, code in found if code]
    errors = [
        {"Code": code, "Description": "The telephone number is unavailable", "TelephoneNumber": number}
        for number, code in failed
    ]
    return {
        "CompletedQuantity": len(done),
        "ErrorList": {"Error": errors} if errors else None,
        "Order": {**order(records), "id": None},
        "OrderStatus": _whole(records),
        "CompletedNumbers": {"TelephoneNumber": done},
        "FailedNumbers": {"FullNumber": [number for number, _ in failed]},
        "FailedQuantity": len(failed),
    }


def disconnect(number: str) -> dict[str, Any]:
    """An order to disconnect, as it was received."""
    wanted = {"TelephoneNumberList": {"TelephoneNumber": [number]}, "DisconnectMode": "normal"}
    return {
        "orderRequest": {
            "OrderCreateDate": now_text(),
            "id": str(uuid4()),
            "DisconnectTelephoneNumberOrderType": wanted,
        },
        "OrderStatus": "RECEIVED",
    }


def _whole(records: Sequence[Record]) -> str:
    """OrderStatus, of all numbers together."""
    words = {status(record)[0] for record in records}
    return "RECEIVED" if "RECEIVED" in words else words.pop() if len(words) == 1 else "PARTIAL"
