"""What is not shown is not sold out: a cache's answer, or one that hides entries, shows no end of what is for sale."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas.outcomes import Outcome, OutcomeKind
from tasks.conformance.fixtures import NUMBER, OTHER, at
from tasks.conformance.gateway import SPOILED, Answer, encoded, gateway
from tasks.providers.adapter import Adapter, Ask, ProviderError, SearchQuery, Shown
from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer

QUERY = SearchQuery(country="US", prefix=NUMBER[2:5], limit=10)
BARE = "200 []"
"""Nothing in it says that it is not the whole list, where one is documented, or read, as it is."""


class Spoiling:
    """A provider behind a gateway that spoils its answers as `way` says, or not; `last` is what it answered."""

    def __init__(self, kind: str, sandbox: SandboxServer) -> None:
        self.kind, self.sandbox = kind, sandbox
        self.way: str | None = None
        self.last: Answer | None = None
        self.provider: Adapter

    def __call__(self, answer: Answer) -> Answer:
        """What goes back in place of *answer*."""
        self.last = SPOILED[self.way](answer) if self.way else answer
        return self.last

    def ways(self) -> Iterator[str]:
        """Each way, in force, that is not what the provider answers where nothing is for sale."""
        self.sandbox.control.stock(self.kind, [])
        assert self.provider.search(QUERY) == []
        empty = self.last
        self.sandbox.control.stock(self.kind, [NUMBER, OTHER])
        assert empty is not None
        for way in SPOILED:
            if way != BARE and not _same(SPOILED[way](empty), empty):
                self.way = way
                yield way


def _same(one: Answer, other: Answer) -> bool:
    return (one.status, encoded(one), one.headers) == (other.status, encoded(other), other.headers)


@pytest.fixture
def spoiling(sandbox: SandboxServer, kind: str) -> Iterator[Spoiling]:
    """Each kind that can be searched."""
    if not kinds()[kind].searches:
        pytest.skip("no search is documented")
    found = Spoiling(kind, sandbox)
    with gateway(sandbox.url, found) as url:
        found.provider = at(url, kind)
        yield found


def test_a_search_that_was_spoiled_shows_no_end(spoiling: Spoiling) -> None:
    for way in spoiling.ways():
        try:
            found = spoiling.provider.search(QUERY)
        except ProviderError:
            continue
        assert isinstance(found, Shown)
        assert len(found) == 2 or found.flaw or found.following, way


def test_a_search_that_was_spoiled_refuses_no_number(spoiling: Spoiling) -> None:
    for way in spoiling.ways():
        prepared = spoiling.provider.prepare(Ask(number=NUMBER))
        if isinstance(prepared, Outcome) and prepared.kind is OutcomeKind.REFUSED:
            # In the words of a status that is a no.
            assert (prepared.http_status or 0) >= 400, way
