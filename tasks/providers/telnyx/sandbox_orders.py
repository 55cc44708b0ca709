"""Orders as Telnyx's sandbox shows them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from schemas.config.papers import number_type
from schemas.numbering.regions import region_of
from tasks.providers.sandbox.ledger import Record

ORDER_FIELDS = ("connection_id", "messaging_profile_id", "billing_group_id", "customer_reference")


def status(record: Record) -> str:
    """What an order's item says of its number."""
    if "failed" in record.extra:
        return "failure"
    if "papers" in record.extra or time.monotonic() < record.ready_at:
        return "pending"
    return "success" if record.fulfilled else "failure"


def order(records: Sequence[Record]) -> dict[str, Any]:
    """One order with its items. Its own status goes by the item that came furthest."""
    extra, items = records[0].extra, [_item(record) for record in records]
    states = {item["status"] for item in items}
    return {
        "id": extra["order_id"],
        "record_type": "number_order",
        "status": next(word for word in ("pending", "success", "failure") if word in states),
        "phone_numbers": items,
        "phone_numbers_count": len(items),
        "sub_number_orders_ids": [str(uuid5(NAMESPACE_URL, extra["order_id"]))],
        "requirements_met": all(item["requirements_met"] for item in items),
        **{name: extra.get(name) for name in ORDER_FIELDS},
        "created_at": records[0].at,
        "updated_at": records[0].at,
    }


def type_of(number: str) -> str:
    """The number's type in Telnyx's words."""
    found = number_type(number)
    return "toll_free" if found == "tollfree" else found


def _item(record: Record) -> dict[str, Any]:
    met = "papers" not in record.extra
    return {
        "id": str(uuid5(NAMESPACE_URL, f"{record.extra['order_id']}/{record.number}")),
        "record_type": "number_order_phone_number",
        "phone_number": record.number,
        "country_code": region_of(record.number),
        "phone_number_type": type_of(record.number),
        "status": status(record),
        "requirements_met": met,
        "requirements_status": "approved" if met else "requirement-info-pending",
        "regulatory_requirements": [],
        "bundle_id": None,
    }
