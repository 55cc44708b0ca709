"""A search page by page: by its cursor where it has one, else by longer and longer prefixes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from schemas.config.kinds import Kind
from schemas.outcomes import Candidate
from tasks.providers.adapter import SearchQuery, Shown

BARREN = 100
"""Searches in a row without a new number after which no more are made: ten a digit, where prefixes grow longer."""

Search = Callable[[SearchQuery], list[Candidate]]


class SearchPages:
    """What *search*, one call each, shows of *query* to a provider of a *kind*: each number once.

    `whole` is true once all that the provider shows was seen: false while pages are left, and where it shows no more of
    what there may be. `flaw` is why the pages that were seen may lack some of it; None where nothing says so.
    """

    def __init__(self, search: Search, query: SearchQuery, kind: Kind) -> None:
        self._search, self._query, self._narrows = search, query, kind.narrows
        self._seen: set[str] = set()
        self._barren = 0
        self.whole = False
        self.flaw: str | None = None

    def __iter__(self) -> Iterator[list[Candidate]]:
        """The new numbers of each page, maybe none. Raises what the search raises."""
        prefixes, cut = deque([self._query.prefix]), False
        while prefixes and self._barren < BARREN:
            prefix = prefixes.popleft()
            full = yield from self._pages(replace(self._query, prefix=prefix))
            if full:
                finer = self._finer(prefix)
                prefixes.extend(finer)
                cut = cut or not finer
        self.whole = not (prefixes or cut or self.flaw)

    def _pages(self, query: SearchQuery) -> Generator[list[Candidate], None, bool]:
        """The pages of one prefix; returns whether there may be more of it than they show."""
        after: set[str] = set()
        while True:
            found = self._search(query)
            if isinstance(found, Shown):
                self.flaw = self.flaw or found.flaw
            yield self._new(found)
            if not isinstance(found, Shown):
                return True
            following = found.following
            if following is None:
                return found.full and not after
            if following in after or self._barren >= BARREN:
                return True
            after.add(following)
            query = replace(query, after=following)

    def _new(self, found: list[Candidate]) -> list[Candidate]:
        new: dict[str, Candidate] = {}
        for one in (one for one in found if one.number not in self._seen):
            other = new.setdefault(one.number, one)
            if other.price != one.price:
                # One of them is what it costs: nobody knows which.
                new[one.number] = replace(other, price=None)
        self._seen |= new.keys()
        self._barren = 0 if new else self._barren + 1
        return list(new.values())

    def _finer(self, prefix: str) -> list[str]:
        """The prefixes that are one digit longer, where the search asks for such."""
        fewest, most = self._narrows or (0, 0)
        return [f"{prefix}{digit}" for digit in range(10)] if fewest <= len(prefix) + 1 <= most else []
