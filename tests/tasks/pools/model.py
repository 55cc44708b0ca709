"""What the model of the pools knows beside the pools: a shop that sells, and who was given what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.outcomes import Candidate
from tasks.providers.adapter import ProviderError, SearchQuery
from tests.tasks.lifecycle.test_model import Market
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import number


class Shop:
    """What one alias sells, at the market that both share. A search shows what is sold already, too."""

    can_search = True

    def __init__(self, market: Market, first: int) -> None:
        self._market = market
        self._first = first
        self.many = 20
        self.away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._market, name)

    def search(self, query: SearchQuery) -> list[Candidate]:
        if self.away:
            raise ProviderError(UNKNOWN)
        return [Candidate(number=number(index)) for index in range(self._first, self._first + self.many)]


@dataclass
class Takers:
    """Who was given what, as the answers told it."""

    takes: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    returns: dict[str, str] = field(default_factory=dict)
    has: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    refused: dict[str, tuple[int | str, str]] = field(default_factory=dict)

    def of_take(self, request_id: str, count: int, free: Sequence[str]) -> tuple[str | None, list[str]]:
        """The error code, and the numbers, that a take must be answered with."""
        if request_id in self.refused:
            return self._again(request_id, count), []
        if request_id in self.returns:
            return "key_conflict", []
        if request_id not in self.takes:
            short = "not_enough" if free else "pool_empty"
            return (None, list(free[:count])) if len(free) >= count else (short, [])
        asked, numbers = self.takes[request_id]
        left = [one for one in numbers if self.has.get(one) == request_id]
        if asked != count:
            return "key_conflict", []
        return (None if left == numbers else "already_returned"), left

    def of_return(self, request_id: str, wanted: str) -> str | None:
        """The error code that a return must be answered with."""
        if request_id in self.refused:
            return self._again(request_id, wanted)
        if request_id in self.takes or self.returns.get(request_id, wanted) != wanted:
            return "key_conflict"
        if request_id in self.returns or wanted in self.has:
            return None
        return "gone" if wanted in self.gone else "not_taken"

    def remember(self, request_id: str, asked: int | str, code: str) -> None:
        """What was refused, unless the id is that of another request, stays refused."""
        if request_id not in self.takes and request_id not in self.returns:
            self.refused.setdefault(request_id, (asked, code))

    def _again(self, request_id: str, asked: int | str) -> str:
        before, code = self.refused[request_id]
        return code if before == asked else "key_conflict"
