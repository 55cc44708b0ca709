"""How the purchases stand by the committed rows: a row is read anew once it was touched, and no other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from schemas.status import DEAD, UNSETTLED, Status
from tests.simulation.actors.edits import desk, kind_of

if TYPE_CHECKING:
    from tests.simulation.servers.tables import Files

IN_DOUBT = (Status.PURCHASING, Status.UNKNOWN, Status.PROCESSING)
"""What a row says of its newest call, and of no other."""
MAY_BE_CHARGED = (*IN_DOUBT, Status.PURCHASED, Status.RELEASING, Status.HELD)
_ALL = "SELECT id, rowid, provider, account, number, status, revision FROM purchase"

One = tuple[str, str]
"""An account in its provider's own books, and a number."""


class Standing:
    """`of` is the status of what is alive, by account and number; `statuses` that of each purchase, by its id.

    `waiting` is what waits or runs at each provider: an equal value as long as none has moved there, or come.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._forget()

    def _forget(self) -> None:
        self._rows: dict[str, Any] = {}
        self._at: dict[One, dict[int, str]] = {}
        self._moves: dict[str, dict[str, tuple[int, int]]] = {}
        self.of: dict[One, str] = {}
        self.statuses: dict[str, str] = {}
        self.may_be_charged: set[One] = set()
        self.purchased: set[One] = set()
        self.waiting: dict[str, tuple[Any, ...]] = {}

    def look(self) -> Standing:
        """As it is now."""
        touched = self._files.touched()
        if touched is None:
            self._forget()
            self._change([], self._files.read(_ALL))
        elif touched:
            rows = [row for one in touched for row in self._files.read(f"{_ALL} WHERE id = ?", one)]
            self._change([self._rows[one] for one in touched if one in self._rows], rows)
        return self

    def _change(self, before: Iterable[Any], now: Iterable[Any]) -> None:
        places, providers = dict[One, None](), set[str]()
        for sign, rows in ((-1, before), (1, now)):
            for row in rows:
                one = self._put(row, sign)
                places[one] = None
                if row["status"] in UNSETTLED:
                    self._count(row, sign)
                    providers.add(row["provider"])
        for one in places:
            self._settle(one)
        if providers:
            self.waiting = {alias: tuple(sorted(found.items())) for alias, found in self._moves.items() if found}

    def _put(self, row: Any, sign: int) -> One:
        identity, rowid, alias, account, number, status, _ = row
        one = desk(kind_of(alias), account), number
        if sign > 0:
            self._rows[identity], self.statuses[identity] = row, status
            self._at.setdefault(one, {})[rowid] = status
        else:
            del self._rows[identity], self.statuses[identity], self._at[one][rowid]
        return one

    def _count(self, row: Any, sign: int) -> None:
        found = self._moves.setdefault(row["provider"], {})
        count, moves = found.get(row["status"], (0, 0))
        if count + sign:
            found[row["status"]] = count + sign, moves + sign * row["revision"]
        else:
            del found[row["status"]]

    def _settle(self, one: One) -> None:
        """Under two names of one account a number may stand twice: it is known if one of them may be charged."""
        alive = [status for _, status in sorted(self._at[one].items()) if status not in DEAD]
        charged = [status for status in alive if status in MAY_BE_CHARGED]
        for found, is_there in ((self.may_be_charged, charged), (self.purchased, Status.PURCHASED in alive)):
            (found.add if is_there else found.discard)(one)
        if alive:
            self.of[one] = (charged or alive[-1:])[0]
        else:
            self.of.pop(one, None)
