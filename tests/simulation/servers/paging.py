"""Lists of several pages, one of which loses an entry between two of them: what stood behind it is then on no page."""

from __future__ import annotations

import re
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from schemas.status import DEAD, Status
from tasks.providers.sandbox.exchange import Incoming, Reply
from tests.simulation.actors.edits import desk, kind_of
from tests.simulation.scheduler.clockwork import Actor

if TYPE_CHECKING:
    from tests.simulation.world import World

SHRINKS = "list shrinks while it is paged"
PAGES = (1, 1, 1, 2, 3)
"""Entries of a page, in the place of tens to a thousand: a world has one of these."""
OF_OTHERS = (8, 12)
"""Numbers that an account has from before: others bought them, and give them back between two pages."""
AT = ("vogent", "twilio")
"""Kinds at which there are such, whoever asks."""
UNPAGED = ("fluents",)
"""Kinds whose search has no pages, and asks for as many as a page of the list has: what others wait for would hide the
rest."""

_NUMBER = re.compile(r"1415\d{7}")
_TOKENS = {"cursor", "page_token", "pageToken", "PageToken"}
_STARTS = {"page": "1", "page[number]": "1", "offset": "0", "index": "1"}
_DEAD = ", ".join(f"'{status}'" for status in sorted(DEAD))
_STANDS = f"SELECT provider, account, status FROM purchase WHERE number = ? AND status NOT IN ({_DEAD}) ORDER BY id"


class Paging:
    """What became of the lists in one world: `size` is None where all fits on one page."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("paging")
        self.size = self._chance.choice(PAGES) if world.faults.rates[SHRINKS] else None
        self._shown: dict[tuple[Actor, str], list[str]] = {}
        self._of_others: set[tuple[str, str]] = set()
        self._gone: set[tuple[str, str]] = set()
        for kind in AT if self.size else ():
            if kind in world.kinds:
                self._begin(kind, [f"+1415999{number:04}" for number in range(self._chance.choice(OF_OTHERS))])

    def _begin(self, kind: str, numbers: list[str]) -> None:
        """Nobody here asked for them, and an audit may take them in."""
        self._world.network.control.own(kind, numbers)
        of_others = [(kind, number) for number in numbers]
        self._world.judge.charged.update(of_others)
        for known in (self._of_others, self._world.judge.untold, self._world.judge.unseen):
            known.update(of_others)

    def smaller(self) -> Any:
        """A context in which lists are asked for by small pages."""
        stack = ExitStack()
        for kind in sorted({*self._world.kinds} - {*UNPAGED}) if self.size else ():
            for name in ("adapter", "pages"):
                module = f"tasks.providers.{kind}.{name}"
                if find_spec(module) and hasattr(found := import_module(module), "PAGE_SIZE"):
                    # Bandwidth names a page by where it starts, but the first, which is 1.
                    size = max(self.size or 1, 2) if kind == "bandwidth" else self.size
                    stack.enter_context(patch.object(found, "PAGE_SIZE", size))
        return stack

    def hides(self, kind: str) -> bool:
        """Whether its search has no pages, and is asked for as few as a page has: the first ones hide the rest."""
        return bool(self.size) and kind == "twilio"

    def turns(self, incoming: Incoming, kind: str, reply: Reply) -> bool:
        """A page of owned numbers is about to be answered with *reply*: whether it is another one by now.

        Where it begins with what is in doubt, somebody gives a number back that stood on a page before it, at the
        provider's portal: then this one moves up to there.
        """
        me = self._world.clockwork.me
        assert me is not None
        before = self._shown.setdefault((me, incoming.path), [])
        if _is_first(incoming):
            before.clear()
        here = list(dict.fromkeys(_NUMBER.findall(str(reply.body))))
        moves = bool(before and here) and self._is_doubtful(kind, here[0]) and self._give_back(kind, before)
        before += here
        return moves

    def _is_doubtful(self, kind: str, digits: str) -> bool:
        """Whether the table says so, or does not know of it."""
        judge, number = self._world.judge, f"+{digits}"
        charged = (one for one in judge.charged if one[1] == number and one not in self._of_others)
        standing, settled = judge.standing(), (Status.PURCHASED, Status.HELD)
        return any(one[0].partition("/")[0] == kind and standing.get(one) not in settled for one in charged)

    def _give_back(self, kind: str, before: list[str]) -> bool:
        """One that stood *before*: of others', or of ours that nobody uses."""
        free = [one for digits in before if (one := self._free(kind, f"+{digits}"))]
        if not free or not self._world.faults.happens(SHRINKS):
            return False
        account, number = self._chance.choice(free)
        if not self._world.network.give_back(kind, account, number):
            return False
        self._world.clockwork.note(f"somebody gives {number} back at {kind}'s portal, between two pages")
        self._world.returns.by_hand((desk(kind, account), number))
        self._gone.add((desk(kind, account), number))
        return True

    def went(self, one: tuple[str, str]) -> bool:
        """Whether it was given back after an audit had read of it, which took it in: a person is to say so."""
        if one in self._gone:
            self._world.returns.lost.add(one)
        return one in self._gone

    def _free(self, kind: str, number: str) -> tuple[str, str] | None:
        """The account and the number, where it may go."""
        rows = [row for row in self._world.judge.all(_STANDS, number) if kind_of(row["provider"]) == kind]
        if number in self._world.stocks.taken or any(row["status"] != Status.PURCHASED for row in rows):
            return None
        if rows:
            return rows[-1]["account"], number
        return ("", number) if (kind, number) in self._of_others else None


def _is_first(incoming: Incoming) -> bool:
    """Whether it asks for a list's first page."""
    asked = incoming.query
    return not _TOKENS & asked.keys() and all(asked.get(name, [first]) == [first] for name, first in _STARTS.items())
