"""Routing, credentials and validation. Knows no sockets and never waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tasks.providers.sandbox.api import Route, SandboxApi
from tasks.providers.sandbox.exchange import Incoming, Invalid, Refusal, Reply
from tasks.providers.sandbox.ledger import Record, Return
from tasks.sandbox.control import Control
from tasks.sandbox.purchase import Delivery, PurchaseCall, deliver_fault, whole_reply


class Router:
    """The APIs of all kinds, each under its name."""

    def __init__(self, control: Control, apis: Mapping[str, type[SandboxApi]], token: str) -> None:
        self._control = control
        self._apis = {
            kind: api(kind=kind, ledger=control.ledger, inventory=control.inventory, token=token)
            for kind, api in apis.items()
        }

    def answer(self, incoming: Incoming) -> Delivery:
        """Handle one request whole; its path begins with the provider's kind."""
        kind, _, rest = incoming.path.removeprefix("/").partition("/")
        api = self._apis.get(kind)
        if api is None:
            return Delivery(Reply(404, {"error": "Not Found"}))
        inner = replace(incoming, path=f"/{rest}")
        with self._control.lock:
            delivery = self._dispatch(api, inner)
            latency = self._control.latency_of(kind)
        return replace(delivery, wait=delivery.wait + latency) if latency else delivery

    def _dispatch(self, api: SandboxApi, incoming: Incoming) -> Delivery:
        for route in api.routes:
            match = route.pattern.fullmatch(incoming.path)
            if match and route.method == incoming.method:
                found = replace(incoming, args=match.groups())
                if route.gives_back:
                    return self._release(api, found, route)
                return self._purchase(api, found) if route.reader is None else self._read(api, found, route)
        return Delivery(Reply(404, {"error": "Not Found"}))

    def _read(self, api: SandboxApi, incoming: Incoming, route: Route) -> Delivery:
        fault = self._control.planner.draw_read(api.kind)
        try:
            api.authorize(incoming)
            reply: Reply = getattr(api, route.reader or "")(incoming)
        except Refusal as exc:
            reply = exc.reply
        except Invalid as exc:
            reply = api.invalid(exc)
        return Delivery(reply) if fault is None else deliver_fault(fault, whole_reply(api, fault, ()) or reply)

    def _release(self, api: SandboxApi, incoming: Incoming, route: Route) -> Delivery:
        fault = self._control.planner.draw_release(api.kind)
        executed = fault is None or fault.charge
        try:
            api.authorize(incoming)
            record: Record | None = getattr(api, route.reader or "")(incoming)
        except (Refusal, Invalid) as exc:
            return Delivery(exc.reply if isinstance(exc, Refusal) else api.invalid(exc))
        reply = api.not_found() if record is None else api.given_back(record)
        if record is not None:
            self._take_back(api, record, executed=executed)
        return Delivery(reply) if fault is None else deliver_fault(fault, whole_reply(api, fault, ()) or reply)

    def _take_back(self, api: SandboxApi, record: Record, *, executed: bool) -> None:
        done = Return(
            kind=api.kind,
            account=record.account or "",
            number=record.number,
            provider_number_id=api.id_of(record) or "",
            executed=executed,
        )
        self._control.ledger.returns.append(done)
        if executed:
            self._control.ledger.give_back(record)

    def _purchase(self, api: SandboxApi, incoming: Incoming) -> Delivery:
        call = self._control.ledger.arrive(api.kind)
        try:
            api.authorize(incoming)
            order = api.read_order(incoming)
        except (Refusal, Invalid) as exc:
            reply = exc.reply if isinstance(exc, Refusal) else api.invalid(exc)
            call["status"] = reply.status
            return Delivery(reply)
        call["account"], call["numbers"] = order.account, list(order.numbers)
        delivery, fault = PurchaseCall(self._control, api, order, call["call"]).execute()
        call["fault"] = None if fault is None else fault.name
        call["status"] = None if delivery.way in ("cut", "silence") else delivery.reply.status
        return delivery
