"""Routing, credentials and validation. Knows no sockets and never waits."""

from __future__ import annotations

from dataclasses import replace

from tasks.providers.bird.sandbox import BirdDesk
from tasks.providers.fluents.sandbox import FluentsDesk
from tasks.providers.sandbox.api import Desk, Route
from tasks.providers.sandbox.control import Control
from tasks.providers.sandbox.exchange import Incoming, Invalid, Refusal, Reply
from tasks.providers.sandbox.purchase import Delivery, Sale, deliver_fault, whole_reply
from tasks.providers.signalwire.sandbox import SignalWireDesk
from tasks.providers.timepay.sandbox import TimePayDesk
from tasks.providers.vogent.sandbox import VogentDesk

_DESKS: tuple[type[Desk], ...] = (TimePayDesk, FluentsDesk, SignalWireDesk, VogentDesk, BirdDesk)


class Engine:
    """The five desks behind one door."""

    def __init__(self, control: Control, token: str) -> None:
        self._control = control
        self._desks = {desk.kind: desk(ledger=control.ledger, shelf=control.shelf, token=token) for desk in _DESKS}

    def answer(self, incoming: Incoming) -> Delivery:
        """Handle one request whole; its path begins with the provider's kind."""
        kind, _, rest = incoming.path.removeprefix("/").partition("/")
        desk = self._desks.get(kind)
        if desk is None:
            return Delivery(Reply(404, {"error": "Not Found"}))
        inner = replace(incoming, path=f"/{rest}")
        with self._control.lock:
            delivery = self._dispatch(desk, inner)
            latency = self._control.latency_of(kind)
        return replace(delivery, wait=delivery.wait + latency) if latency else delivery

    def _dispatch(self, desk: Desk, incoming: Incoming) -> Delivery:
        for route in desk.routes:
            match = route.pattern.fullmatch(incoming.path)
            if match and route.method == incoming.method:
                found = replace(incoming, args=match.groups())
                return self._purchase(desk, found) if route.reader is None else self._read(desk, found, route)
        return Delivery(Reply(404, {"error": "Not Found"}))

    def _read(self, desk: Desk, incoming: Incoming, route: Route) -> Delivery:
        fault = self._control.planner.draw_read(desk.kind)
        try:
            desk.authorize(incoming)
            reply: Reply = getattr(desk, route.reader or "")(incoming)
        except Refusal as exc:
            reply = exc.reply
        except Invalid as exc:
            reply = desk.invalid(exc)
        return Delivery(reply) if fault is None else deliver_fault(fault, whole_reply(desk, fault, ()) or reply)

    def _purchase(self, desk: Desk, incoming: Incoming) -> Delivery:
        call = self._control.ledger.arrive(desk.kind)
        try:
            desk.authorize(incoming)
            order = desk.read_order(incoming)
        except (Refusal, Invalid) as exc:
            reply = exc.reply if isinstance(exc, Refusal) else desk.invalid(exc)
            call["status"] = reply.status
            return Delivery(reply)
        call["account"], call["numbers"] = order.account, list(order.numbers)
        delivery, fault = Sale(self._control, desk, order, call["call"]).execute()
        call["fault"] = None if fault is None else fault.name
        call["status"] = None if delivery.way in ("cut", "silence") else delivery.reply.status
        return delivery
