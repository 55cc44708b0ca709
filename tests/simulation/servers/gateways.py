"""Gateways in front of the providers: one is down for a while, or spoils what is read; it may begin with a purchase.

What they say is nobody's list: from none of it may anybody learn that a number is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from schemas.config.provider import SANDBOX_TOKEN
from tasks.conformance.gateway import SPOILED, Answer, encoded
from tasks.providers.registry import sandbox_apis
from tasks.providers.sandbox.exchange import Incoming, Reply
from tasks.providers.transport.xml import XML_TYPE, read_xml
from tasks.sandbox.control import Control
from tasks.sandbox.purchase import Delivery
from tasks.sandbox.router import Router
from tests.simulation.scheduler.clockwork import MICRO

if TYPE_CHECKING:
    from tests.simulation.world import World

DOWN = "gateway is down"
SPOILS = "gateway spoils answers"
LOSES = "gateway loses an answer"
LASTS = (1.0, 9.0, 15.0, 25.0)
"""Seconds for which a gateway says the same: the looks after a call may take some twenty."""
OVER_ALL_LOOKS = LASTS[-2:]
"""The same for one that lost a purchase's answer: each look after it has to meet the same."""

_PAGE = "<html><body>502 Bad Gateway</body></html>"
_AWAY = (
    *(Reply(404, {"message": words}) for words in ("Not Found", "no Route matched with those values")),
    *(Reply(404, body) for body in ({}, None)),
    *(Reply(status, _PAGE) for status in (502, 503, 504)),
    *(Reply(502, body) for body in ({}, None)),
)
"""What it says while nobody is behind it."""

_LOST = (*(Reply(status, _PAGE) for status in (200, 502, 504)), *(Reply(200, body) for body in ({}, None, [])))
"""What it says of a purchase that was executed: no 4xx, which would be the provider's own no."""

_LISTS = [name for name in sorted(SPOILED) if not name[0].isdigit()]
OLD = ("an old answer", "a copy of some cache")
"""Those that a cache kept: of the time when nothing was bought yet."""
EMPTY = ("200 []", "200 {}")
"""What some providers document where nothing is for sale, and no search can tell from that."""
_WAYS = (
    [name for name in sorted(SPOILED) if name[0].isdigit()],
    [name for name in _LISTS if name.startswith(("entries", "values"))],
    [name for name in _LISTS if "beside" in name],
    [*OLD],
    [*OLD],
)
"""How it may spoil an answer, by what is wrong with it: something else, entries, words beside them, its age."""


class Gateways:
    """One for each kind, with the state that it is in: until when, and what it says, or how it spoils what it reads."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("gateways")
        self._states: dict[str, tuple[float, Reply | str]] = {}
        self.spoiled: set[str] = set()
        """The kinds before which one has said EMPTY: a search may have shown nothing of what there is."""
        self._past = Control(sandbox_apis())
        self._before = Router(self._past, sandbox_apis(), SANDBOX_TOKEN)

    def had_for_sale(self, kind: str, numbers: Sequence[str]) -> None:
        """What a cache's old answers show."""
        self._past.stock(kind, numbers)

    def weather(self, hit: list[str]) -> None:
        """One of them may be in another state from now on."""
        for kind in self._world.kinds:
            for name in (DOWN, SPOILS):
                if self._world.faults.happens(name, about=hit):
                    self._begin(kind, name)

    def instead(self, kind: str) -> Delivery | None:
        """What is answered to a request that does not come to its provider; None where it does."""
        reply = self._state(kind)
        if not isinstance(reply, Reply):
            return None
        self._world.clockwork.note(f"the gateway before {kind} is down, and answers {reply.status} {reply.body!r}")
        return Delivery(reply)

    def passed_on(self, incoming: Incoming, delivery: Delivery, *, buying: bool) -> Delivery:
        """What becomes of the provider's answer on its way back. One that loses a purchase's stays as it is.

        *buying*: or giving back.
        """
        kind = incoming.path.split("/")[1]
        if delivery.way not in ("send", "drip"):
            return delivery
        if buying:
            return self._lost(kind, delivery)
        spoils = self._state(kind)
        if not isinstance(spoils, str):
            return delivery
        if spoils in EMPTY:
            self.spoiled.add(kind)
        reply = self._before.answer(incoming).reply if spoils in OLD and incoming.method == "GET" else delivery.reply
        return replace(delivery, reply=self._spoiled(reply, spoils))

    def _lost(self, kind: str, delivery: Delivery) -> Delivery:
        if not self._world.faults.happens(LOSES):
            return delivery
        # One that lasts goes on.
        if self._state(kind) is None:
            self._begin(kind, self._chance.choice((DOWN, SPOILS, SPOILS)), OVER_ALL_LOOKS)
        return replace(delivery, reply=self._chance.choice(_LOST))

    def _begin(self, kind: str, name: str, lasts: Sequence[float] = LASTS) -> None:
        end = self._world.clockwork.now + self._chance.choice(lasts) * MICRO
        says = self._chance.choice(_AWAY if name == DOWN else self._chance.choice(_WAYS))
        self._states[kind] = end, says

    def _state(self, kind: str) -> Reply | str | None:
        end, says = self._states.get(kind, (0.0, None))
        return says if self._world.faults.on and end > self._world.clockwork.now else None

    def _spoiled(self, reply: Reply, name: str) -> Reply:
        self._world.clockwork.note(f"the gateway's answer: {name}")
        is_xml = reply.headers.get("Content-Type") == XML_TYPE
        body = read_xml(reply.body) if is_xml and reply.body else reply.body
        spoiled = SPOILED[name](Answer(reply.status, body, dict(reply.headers)))
        if spoiled.status in (204, 304):
            return Reply(spoiled.status, None, spoiled.headers)
        return Reply(spoiled.status, encoded(spoiled).decode() if is_xml else spoiled.body, spoiled.headers)
