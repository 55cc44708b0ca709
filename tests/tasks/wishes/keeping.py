"""A shop that reserves numbers by an id, which whoever buys one has to name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from schemas.outcomes import Candidate, Outcome, OutcomeKind
from tasks.providers.adapter import Ask, ProviderError, SearchQuery, Shown
from tasks.providers.transport.turns import take_turn
from tests.tasks.clock import Clock
from tests.tasks.scripted_provider import REFUSED
from tests.tasks.wishes.wishing import Market

FOR = 4 * 3600


class Keeper(Market):
    """It keeps a number for four hours: no search shows it, and it is sold to who names its reservation alone.

    `kept` are the ids and ends of what is reserved, `ever` each number that was, `taken` what others have reserved;
    `fails` is what calls that reserve come to, `deaf` those that cancel, `before` is called with each number that is
    given back. `unseen` are reserved without an answer.
    """

    reserves_for, reserves_at_once, names_reservations = FOR, 1, True

    def __init__(self, clock: Clock, numbers: Iterable[str]) -> None:
        super().__init__(clock, numbers)
        self.prepares = True
        self.kept: dict[str, tuple[str, datetime]] = {}
        self.ever: list[str] = []
        self.cancelled: list[str] = []
        self.taken: set[str] = set()
        self.unseen: set[str] = set()
        self.fails: Outcome | None = None
        self.deaf: Outcome | None = None
        self.before: Callable[[str], object] = lambda _: None

    def holder(self, number: str) -> str | None:
        """The id by which *number* is kept now."""
        known, until = self.kept.get(number, (None, self.clock.moment))
        return known if self.clock.moment < until else None

    def search(self, query: SearchQuery) -> list[Candidate]:
        found = super().search(query)
        assert isinstance(found, Shown)
        return Shown([one for one in found if not self.holder(one.number)], following=found.following)

    def reserve(self, numbers: Sequence[str]) -> dict[str, str | None]:
        take_turn()()
        [number] = numbers
        if self.fails is not None:
            raise ProviderError(self.fails)
        sold = {wanted for wanted, _ in self.charged}
        if self.holder(number) or number in self.taken | sold:
            return {}
        known = f"kept-{len(self.ever) + 1}"
        self.kept[number] = known, self.clock.moment + timedelta(seconds=FOR)
        self.ever.append(number)
        if number in self.unseen:
            raise ProviderError(Outcome(kind=OutcomeKind.UNKNOWN, error="read timed out"))
        return {number: known}

    def cancel_reservation(self, reservation: str) -> None:
        take_turn()()
        if self.deaf is not None:
            raise ProviderError(self.deaf)
        for number in [one for one, (known, _) in self.kept.items() if known == reservation]:
            self.before(number)
            self.cancelled.append(number)
            del self.kept[number]

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        named = {ask.number: ask.reservation for ask in asks}
        foreign = [number for number in named if self.holder(number) not in (None, named[number])]
        self.asks += [ask for ask in asks if ask.number in foreign]
        outcomes = super().buy([ask for ask in asks if ask.number not in foreign])
        sold = dict(zip([one for one in named if one not in foreign], outcomes, strict=True))
        for number, outcome in sold.items():
            if outcome.yes:
                self.kept.pop(number, None)
        return [sold.get(ask.number, REFUSED) for ask in asks]
