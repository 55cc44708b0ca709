"""Reservations at Bandwidth's sandbox: 4 hours by its clock, and an order gets such a number where it names its id."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tasks.providers.bandwidth.sandbox_orders import read_body, xml_reply
from tasks.providers.sandbox.api import Line, Order, SandboxApi, route
from tasks.providers.sandbox.exchange import Incoming, Refusal, Reply, is_e164
from tasks.providers.sandbox.inventory import Held

_PATH = "/api/v2/accounts/{account}/tnreservation"
RESERVATIONS = (route("POST", _PATH, "reserve"), route("DELETE", f"{_PATH}/{{id}}", "unreserve", gives_back=False))
SECONDS = 4 * 3600


class ReservingApi(SandboxApi):
    """POST and DELETE reservations."""

    def reserve(self, incoming: Incoming) -> Reply:
        """201 with the reservation's address; 400 with 5041 for what is sold, or kept for anybody."""
        wanted = read_body(incoming).get("Reservation")
        number = wanted.get("ReservedTn") if isinstance(wanted, dict) else None
        if not is_e164(number) or not isinstance(number, str):
            raise Refusal(_refused("5045", "Reservation request param is invalid."))
        taken = number in self.ledger.shown(self.kind) or self.inventory.held(self.kind, number) is not None
        if taken or not self.inventory.sells(self.kind, number):
            raise Refusal(_refused("5041", f"Reservation failed: telephone number {number} is not available."))
        held = self.inventory.hold(self.kind, self.account(incoming), number, SECONDS)
        address = f"https://dashboard.bandwidth.com/api/accounts/{held.account}/TnReservation/{held.id}"
        return Reply(201, None, {"Location": address})

    def unreserve(self, incoming: Incoming) -> Reply:
        """200 with the reservation that was; 400 with 5042 for one that is not this account's."""
        account, wanted = incoming.args
        held = self.inventory.held_as(self.kind, wanted)
        if held is None or held.account != account:
            raise Refusal(_refused("5042", f"Reservation {wanted} for account {account} not found."))
        self.inventory.let_go(self.kind, held.number)
        return xml_reply(200, "ReservationResponse", {"Reservation": _shown(held)})

    def withholds(self, order: Order, number: str) -> bool:
        """Whether *number* is kept for another, or its reservation is not named."""
        held = self.inventory.held(self.kind, number)
        return held is not None and (held.account != order.account or held.id not in order.extra["reservations"])

    def used(self, lines: Sequence[Line]) -> None:
        """What was sold is reserved no more."""
        for line in lines:
            held = self.inventory.held(self.kind, line.number)
            if line.state == "sold" and held is not None and held.id in line.record.extra["reservations"]:
                self.inventory.let_go(self.kind, held.number)


def _shown(held: Held) -> dict[str, str | int]:
    return {
        "ReservationId": held.id,
        "AccountId": held.account,
        "ReservationExpires": int(held.until - time.monotonic()),
        "ReservedTn": held.number,
    }


def _refused(code: str, message: str) -> Reply:
    return xml_reply(400, "ReservationResponse", {"ResponseStatus": {"ErrorCode": code, "Description": message}})
