"""The way to the providers: httpcore's bytes go to the real sandboxes' desks, and theirs come back. No socket.

A request is executed with its last byte, whatever becomes of who sent it; a call's time in the provider's log is up to
half of the rate guard later, which is what the pace allows for on the way.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from http.client import responses
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpcore
import httpx

from schemas.config.provider import SANDBOX_TOKEN
from tasks.providers.registry import sandbox_apis
from tasks.providers.sandbox.api import Route
from tasks.providers.sandbox.exchange import Incoming, Reply
from tasks.sandbox.control import Control
from tasks.sandbox.purchase import Delivery
from tasks.sandbox.router import Router
from tests.simulation.actors.edits import desk
from tests.simulation.scheduler.clockwork import MICRO, Process
from tests.simulation.servers.gateways import Gateways

if TYPE_CHECKING:
    from tests.simulation.world import World

DRIPS = 4
_ITEM = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Network:
    """All providers behind one host. `calls` and `reads` are when each kind was called, in microseconds.

    `under_way` are the numbers that late requests are on their way for, by kind; `going` is how many give one back.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.control = Control(sandbox_apis(), seed=world.seed)
        self.gateways = Gateways(world)
        self._router = Router(self.control, sandbox_apis(), SANDBOX_TOKEN)
        self.calls: defaultdict[str, list[int]] = defaultdict(list)
        self.reads: defaultdict[str, list[int]] = defaultdict(list)
        self.under_way: Counter[tuple[str, str]] = Counter()
        self.going = 0

    def connect(
        self, _backend: object, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any
    ) -> httpcore.NetworkStream:
        """In the place of httpcore's connect_tcp. Raises what it raises where nobody answers."""
        self.world.clockwork.boundary("connects")
        self.world.faults.connecting(timeout or 0.0)
        return Wire(self)

    def send(self, incoming: Incoming) -> Delivery:
        """What becomes of a whole request: it is answered, or arrives after its sender gave up."""
        away = self.gateways.instead(incoming.path.split("/")[1])
        if away is not None:
            return away
        late = self._arrives_late(incoming)
        if not late:
            return self.answer(incoming)
        kind, restores = incoming.path.split("/")[1], self.world.files.restores
        going = _gives_back(incoming)
        self.going += going
        numbers = self._asked_for(incoming, kind)
        self.under_way.update(numbers)

        def arrive() -> None:
            self.world.clockwork.sleep(late)
            self.under_way.subtract(numbers)
            self.going -= going
            self.answer(incoming, late=late, forgotten=self.world.files.restores != restores)

        self.world.clockwork.spawn("a late request", Process("the way", mortal=False), arrive)
        return Delivery(Reply(200, {}), way="silence")

    def _asked_for(self, incoming: Incoming, kind: str) -> list[tuple[str, str]]:
        """What a request is for, of what was asked for: it names numbers, or the stock items that Bird buys by."""
        says = _says(incoming)
        items = {self.control.inventory.shown(item) for item in _ITEM.findall(says)}
        asked = [one for one in sorted(self.world.asked) if one[0] == kind]
        return [one for one in asked if one[1] in items or one[1].removeprefix("+") in says]

    def give_back(self, kind: str, account: str, number: str) -> bool:
        """Give a number back by the provider's portal; False where it is not there, or a call for it is on its way."""
        ledger = self.control.ledger
        at = desk(kind, account), number
        shown = ledger.everywhere(kind)
        found = next((one for one in shown if (desk(kind, one.account or ""), one.number) == at), None)
        if found is None or self.under_way.total():
            return False
        ledger.lists_gone_for = self.world.faults.shows_gone_for()
        ledger.give_back(found)
        return True

    def _arrives_late(self, incoming: Incoming) -> float:
        """Seconds; who gives back looks as long as who buys, and sends again then."""
        if _buys(incoming):
            return self.world.faults.arrives_late()
        return min(self.world.faults.arrives_late(), self.world.by_the_last_look) if _gives_back(incoming) else 0.0

    def answer(self, incoming: Incoming, *, late: float = 0.0, forgotten: bool = False) -> Delivery:
        """What the provider does with it. One that is *late* is in nobody's pace.

        *forgotten*: the database went back while it was on its way.
        """
        kind, world = incoming.path.split("/")[1], self.world
        buying = _buys(incoming)
        log = (self.calls if buying else self.reads)[kind]
        if not late:
            log.append(world.clockwork.now + round(world.faults.on_the_way(kind) * MICRO))
        if buying:
            self.control.provision_seconds = world.faults.delivered_in()
            unseen = world.faults.buying(self.control, kind, _says(incoming))
        else:
            unseen = False
            (world.faults.giving_back if _gives_back(incoming) else world.faults.reading)(self.control, kind)
        ledger = self.control.ledger
        if _gives_back(incoming):
            ledger.lists_gone_for = world.faults.shows_gone_for(late)
        before, returned = len(ledger.charges), len(ledger.returns)
        delivery = self._router.answer(incoming)
        if world.paging.size and _lists(incoming) and world.paging.turns(incoming, kind, delivery.reply):
            delivery = replace(delivery, reply=self._router.answer(incoming).reply)
        charges = ledger.charges[before:]
        gone = [one for one in ledger.returns[returned:] if one["executed"]]
        self._tell(incoming, delivery, [charge["number"] for charge in charges], [one["number"] for one in gone])
        for charge in charges:
            if unseen or late + self._shows_in(kind, charge) > world.by_the_last_look:
                world.judge.unseen.add((desk(kind, charge["account"]), charge["number"]))
        for one in gone:
            world.returns.gone((desk(kind, one["account"]), one["number"]), late=late > 0, forgotten=forgotten)
        world.judge.after_call(kind, log, charges, buying=buying, late=late > 0)
        return self.gateways.passed_on(incoming, delivery, buying=buying or _gives_back(incoming))

    def _shows_in(self, kind: str, charge: Any) -> float:
        """Seconds until what was sold just now is shown."""
        records = self.control.ledger._records[kind].values()
        shown = [one.shown_at for one in records if (one.account, one.number) == (charge["account"], charge["number"])]
        return max(shown, default=0.0) - self.world.clockwork.seconds()

    def _tell(self, incoming: Incoming, delivery: Delivery, sold: list[str], gone: list[str]) -> None:
        what = f"{incoming.method} {incoming.path}"
        if _buys(incoming):
            call = self.control.ledger.calls[-1]
            what += f" {','.join(call['numbers'])}"
            if call["fault"]:
                self.world.faults.met(f"provider {call['fault']}")
        does = "".join([*(f", charges {number}" for number in sold), *(f", lets {number} go" for number in gone)])
        self.world.clockwork.note(f"{what}: the provider {_words(delivery)}{does}")


def _buys(incoming: Incoming) -> bool:
    """Searches, and credentials for a token, may be posted, too."""
    route = _route(incoming)
    return route is not None and route.reader is None


def _gives_back(incoming: Incoming) -> bool:
    route = _route(incoming)
    return route is not None and route.gives_back


def _lists(incoming: Incoming) -> bool:
    """Whether it asks for a page of what is owned."""
    route = _route(incoming)
    return route is not None and route.reader == "list_owned"


def _route(incoming: Incoming) -> Route | None:
    _, kind, path = incoming.path.split("/", 2)
    routes = (one for one in sandbox_apis()[kind].routes if one.method == incoming.method)
    return next((one for one in routes if one.pattern.fullmatch(f"/{path}")), None)


def _says(incoming: Incoming) -> str:
    """Where a purchase may name its number."""
    return f"{incoming.path} {incoming.body.decode()}"


def _words(delivery: Delivery) -> str:
    if delivery.way in ("cut", "silence"):
        return {"cut": "cuts the connection", "silence": "never answers"}[delivery.way]
    late = f" after {delivery.wait:.1f} s" if delivery.wait else ""
    return f"answers {delivery.reply.status}{late}"


class Wire(httpcore.NetworkStream):
    """One connection: requests in, answers out, each when its time has come."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._world = network.world
        self._clockwork = network.world.clockwork
        self._in = b""
        self._out: list[tuple[int, bytes]] = []
        self._silent = self._closed = False

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._clockwork.boundary("bytes go out")
        self._in += buffer
        incoming = _whole(self._in)
        if incoming is not None:
            self._in = b""
            self._deliver(self._network.send(incoming))
            self._clockwork.boundary("bytes are out")

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        patience = timeout if timeout is not None else 60.0
        if not self._out and self._closed:
            return b""
        due = self._out[0][0] if self._out else None
        if due is None or due - self._clockwork.now > patience * MICRO:
            self._clockwork.sleep(patience)
            raise httpcore.ReadTimeout("no answer in time")
        if due > self._clockwork.now:
            self._clockwork.sleep((due - self._clockwork.now) / MICRO)
        self._clockwork.boundary("bytes came in")
        return self._out.pop(0)[1]

    def close(self) -> None:
        self._closed = True

    def get_extra_info(self, info: str) -> Any:
        return self._closed if info == "is_readable" else None

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.way == "silence":
            return
        at = self._clockwork.now + round((delivery.wait + self._world.faults.answer_takes()) * MICRO)
        if delivery.way == "cut":
            self._out.append((at, b""))
            self._closed = True
            return
        data = _bytes(delivery)
        parts = DRIPS if delivery.way == "drip" else 1
        size = -(-len(data) // parts)
        for part in range(parts):
            wait = round(delivery.seconds * part / parts * MICRO)
            self._out.append((at + wait, data[part * size : (part + 1) * size]))


def _whole(data: bytes) -> Incoming | None:
    """The request, once its last byte is there."""
    head, ends, body = data.partition(b"\r\n\r\n")
    if not ends:
        return None
    first, *lines = head.decode("ascii").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    headers: Mapping[str, str] = httpx.Headers(pairs)
    if len(body) < int(headers.get("Content-Length", "0")):
        return None
    url = urlsplit(target)
    query = parse_qs(url.query, keep_blank_values=True) if url.query else {}
    return Incoming(method=method, path=url.path, query=query, headers=headers, body=body)


def _bytes(delivery: Delivery) -> bytes:
    body, content_type = delivery.reply.encoded()
    status = delivery.reply.status
    headers = {"Content-Type": content_type, "Content-Length": str(len(body)), **delivery.reply.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}\r\n{lines}\r\n".encode() + body
