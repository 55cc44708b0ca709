"""A provider that a test scripts: it charges, and a look finds what it charged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from schemas.outcomes import Candidate, Check, Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Ask, Known, ProviderError, SearchQuery
from tasks.providers.reading.lookups import unclear
from tasks.providers.transport.deadline import present_bounds
from tasks.providers.transport.turns import take_turn
from tests.tasks.clock import Clock

Action = Outcome | Callable[[str], Outcome]

THROTTLED = Outcome(kind=OutcomeKind.THROTTLED, http_status=429, retry_after=7.0)
DENIED = Outcome(kind=OutcomeKind.ACCOUNT, http_status=401, error="credentials are refused", error_code="unauthorized")
REFUSED = Outcome(kind=OutcomeKind.REFUSED, http_status=409, error="not available", error_code="unavailable")
UNKNOWN = Outcome(kind=OutcomeKind.UNKNOWN, error="read timed out", error_code="read_timeout")
NOT_SENT = Outcome(kind=OutcomeKind.NOT_SENT, error="connection refused", error_code="connect")
ABSENT = Look(kind=LookKind.ABSENT)
TOO_MANY = Look(kind=LookKind.UNCLEAR, error="HTTP 429", throttled=True, waiting=True, retry_after=5.0)
UNCLEAR = Look(kind=LookKind.UNCLEAR, error="HTTP 500")


class ScriptedProvider:
    """A provider with a ledger of its own: what it charged, and from when on each number shows.

    `script` and `looks` say what comes next; without them it sells, and tells what it sold. `asks` are what it was
    asked to sell, `known` what was known of each number at its last look.
    """

    can_search = False
    max_batch = 25

    def __init__(self, clock: Clock, lookup: str = "by_number") -> None:
        self.clock = clock
        self.lookup = lookup
        self.prepares = False
        self.keeps_reference = False
        self.script: deque[Action] = deque()
        self.looks: deque[Look] = deque()
        self.charged: list[tuple[str, str]] = []
        self.shows: dict[str, datetime] = {}
        self.asked: list[str] = []
        self.calls: list[int] = []
        self.asks: list[Ask] = []
        self.known: dict[str, Known | None] = {}

    def charge(self, wanted: str, *, shows_after: float = 0.0) -> Outcome:
        """Sell, whatever the caller will hear of it."""
        identity = f"id-{len(self.charged) + 1}"
        self.charged.append((wanted, identity))
        self.shows.setdefault(wanted, self.clock.moment + timedelta(seconds=shows_after))
        return Outcome(kind=OutcomeKind.PURCHASED, http_status=200, provider_number_id=identity)

    def charge_unseen(self, wanted: str) -> Outcome:
        """Sell, and cut the connection before the answer."""
        self.charge(wanted)
        return UNKNOWN

    def owned_id(self, wanted: str) -> str | None:
        shown = wanted in self.shows and self.shows[wanted] <= self.clock.moment
        return next((identity for sold, identity in self.charged if sold == wanted), None) if shown else None

    def prepare(self, ask: Ask) -> Ask | Outcome:
        return ask

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """One call: the script's next action answers for each of its numbers."""
        leave = present_bounds().gate()
        self.calls.append(len(asks))
        self.asks += asks
        action = self.script.popleft() if self.script else self.charge
        outcomes = [action if isinstance(action, Outcome) else action(ask.number) for ask in asks]
        if leave is not None:
            leave()
        return outcomes

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        try:
            take_turn()()
        except ProviderError as exc:
            return dict.fromkeys(numbers, unclear(exc.outcome))
        self.asked += numbers
        self.known |= numbers
        if self.looks:
            return dict.fromkeys(numbers, self.looks.popleft())
        return {wanted: self._shown(wanted) for wanted in numbers}

    def _shown(self, wanted: str) -> Look:
        identity = self.owned_id(wanted)
        return ABSENT if identity is None else Look(kind=LookKind.OWNED, provider_number_id=identity)

    def search(self, query: SearchQuery) -> list[Candidate]:
        raise NotImplementedError

    def owned(self) -> Iterator[OwnedNumber]:
        take_turn()()
        for wanted in self.shows:
            if (identity := self.owned_id(wanted)) is not None:
                yield OwnedNumber(number=wanted, provider_number_id=identity)

    def check(self) -> list[Check]:
        raise NotImplementedError
