"""A valid purchase call: faults, refusals, charges, and the answer that comes of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tasks.providers.sandbox.api import Line, Order, RefusalReason, SandboxApi
from tasks.providers.sandbox.exchange import Reply
from tasks.providers.sandbox.ledger import Record, new_record
from tasks.sandbox.control import Control
from tasks.sandbox.faults import ITEM_FAULTS, Fault

_HTML = "<html><body><h1>We will be right back</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an answer goes out: after `wait` seconds, whole, not at all, or dripping for `seconds`."""

    reply: Reply
    way: Literal["send", "cut", "silence", "drip"] = "send"
    wait: float = 0.0
    seconds: float = 0.0


class PurchaseCall:
    """One purchase call."""

    def __init__(self, control: Control, api: SandboxApi, order: Order, call: int) -> None:
        self._control = control
        self._api = api
        self._order = order
        self._call = call

    def execute(self) -> tuple[Delivery, Fault | None]:
        """Charge what is to be charged; returns the answer, and the fault that shaped it."""
        faults = self._control.planner.draw(self._api.kind, self._order.numbers)
        whole = next((fault for fault in faults if fault and fault.name not in ITEM_FAULTS), None)
        # Of the faults that concern a whole call, the first happens to it and no other.
        own = [fault if fault and (fault is whole or fault.name in ITEM_FAULTS) else None for fault in faults]
        pairs = list(zip(self._order.numbers, own, strict=True))
        refusals = [self._refusal(number, fault) for number, fault in pairs]
        partial = self._api.partial if self._order.partial is None else self._order.partial
        executed = (whole is None or whole.charge) and (partial or not any(refusals))
        lines = [
            self._refused(number, refusal) if refusal else self._sold(number, fault, executed=executed)
            for (number, fault), refusal in zip(pairs, refusals, strict=True)
        ]
        if whole is None or whole.charge:
            self._api.take(lines)
        if whole is None:
            return Delivery(self._api.sold(lines)), next(filter(None, own), None)
        reply = whole_reply(self._api, whole, self._order.numbers) or self._api.sold(lines)
        return deliver_fault(whole, reply), whole

    def _refusal(self, number: str, fault: Fault | None) -> RefusalReason | None:
        control, kind = self._control, self._api.kind
        if not control.inventory.sells(kind, number) or self._api.withholds(self._order, number):
            return "not_for_sale"
        if control.refuses_owned and control.ledger.find(kind, self._order.account, number):
            return "owned"
        return fault.params["reason"] if fault is not None and fault.name == "refuse" else None

    def _refused(self, number: str, reason: RefusalReason) -> Line:
        return Line(number=number, state="refused", record=self._record(number), reason=reason)

    def _sold(self, number: str, fault: Fault | None, *, executed: bool) -> Line:
        record = self._record(number, fault)
        if executed and (fault is None or fault.charge):
            record = self._control.ledger.charge(record, self._call, known=self._api.id_of(record))
        name = None if fault is None else fault.name
        if name == "wrong_number":
            record = self._record(_other(number))
        return Line(number=number, state="missing" if name == "missing_item" else "sold", record=record)

    def _record(self, number: str, fault: Fault | None = None) -> Record:
        now, control = time.monotonic(), self._control
        late = fault.params["seconds"] if fault is not None and fault.name == "late_show" else 0.0
        made = new_record(
            self._api.kind,
            self._order.account,
            number,
            shown_at=now + late,
            ready_at=now + control.provision_seconds,
            fulfilled=control.provision_succeeds,
            extra=self._order.extra,
        )
        return control.ledger.named(made)


def whole_reply(api: SandboxApi, fault: Fault, numbers: Sequence[str]) -> Reply | None:
    """The answer that *fault* puts in place of the provider's own."""
    params = fault.params
    if fault.name == "throttle":
        wait = params["retry_after"]
        return replace(api.throttled(), headers={} if wait is None else {"Retry-After": str(wait)})
    if fault.name == "account":
        return api.account_refused(params["reason"], numbers)
    if fault.name in ("error_before", "error_after", "late_show"):
        return api.failed()
    if fault.name == "html":
        return Reply(200, _HTML)
    return Reply(params["status"], params["body"], params["headers"]) if fault.name == "status" else None


def deliver_fault(fault: Fault, reply: Reply) -> Delivery:
    """*reply* sent as *fault* has it."""
    if fault.name.startswith("cut") or fault.params.get("answer") == "cut":
        return Delivery(reply, "cut")
    if fault.name.startswith("silence"):
        return Delivery(reply, "silence")
    if fault.name == "drip":
        return Delivery(reply, "drip", seconds=fault.params["seconds"])
    return Delivery(reply, wait=fault.params["seconds"] if fault.name == "slow" else 0.0)


def _other(number: str) -> str:
    """Another number of the same length."""
    return f"{number[:-1]}{(int(number[-1]) + 1) % 10}"
