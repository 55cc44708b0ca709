"""What every provider adapter offers. An adapter turns HTTP exchanges into values and decides nothing else:
it never sleeps, never retries, and knows no database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from schemas.outcomes import Candidate, Check, Look, Outcome, OwnedNumber

LookupWay = Literal["none", "by_number", "by_list"]


class ProviderError(Exception):
    """A reading call (search, list) that did not give its answer; `outcome` tells why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error or outcome.kind)
        self.outcome = outcome


EachPage = Callable[[ProviderError | None], None]
"""Called before each page of a walk, and with a page's 429 before that page is asked for again. It may sleep, and ends
the walk by raising."""


def no_pause(throttled: ProviderError | None) -> None:
    """An *each_page* that lets a walk go on at once, and ends it with a 429."""
    if throttled is not None:
        raise throttled


class Unsupported(Exception):
    """A call that the provider's documents do not have; the message says what to do instead."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One number to buy: E.164 with the plus, and the request's typed options as plain data."""

    number: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SearchQuery:
    """What to search for: `country` is ISO 3166-1 alpha-2, `prefix` national digits (an area code)."""

    country: str = "US"
    prefix: str = ""
    limit: int = 10


class Provider(Protocol):
    """One account at one provider.

    `lookup` says how owned numbers can be asked for; `max_batch` how many numbers one purchase call may carry;
    `prepares` whether `prepare` makes calls.
    """

    lookup: ClassVar[LookupWay]
    can_search: ClassVar[bool]
    max_batch: ClassVar[int]
    prepares: ClassVar[bool]

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Complete *ask* by calls that cost nothing (Bird's stock item); an Outcome where that cannot be done."""

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Make one purchase call for at most `max_batch` prepared asks; one outcome for each, in their order."""

    def look(self, numbers: Mapping[str, str | None]) -> dict[str, Look]:
        """Ask whether these numbers are ours; the values are the provider's ids where known.

        Raises Unsupported where `lookup` is 'none'.
        """

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale. Raises ProviderError, or Unsupported where none is documented."""

    def owned(self, each_page: EachPage = no_pause) -> Iterator[OwnedNumber]:
        """Walk all owned numbers in pages, each after a call of *each_page*.

        Raises ProviderError, or Unsupported where no list is documented.
        """

    def check(self) -> list[Check]:
        """Prove credentials, account and path by calls that cost nothing."""
