"""A search goes on from page to page until there is no more, and knows whether that was all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.outcomes import Candidate
from tasks.providers.adapter import SearchQuery, Shown
from tasks.providers.reading.search_pages import BARREN, SearchPages
from tasks.providers.registry import kinds

NUMBERS = [f"+1415555{n:04d}" for n in range(57)]
PAGED, NARROWED, NEITHER = kinds()["bird"], kinds()["vogent"], kinds()["fluents"]


class Seller:
    """Shows ten of its numbers at once: with pages, or without."""

    def __init__(self, numbers: list[str], *, paged: bool = False) -> None:
        self.numbers, self.paged = numbers, paged
        self.asked: list[SearchQuery] = []

    def __call__(self, query: SearchQuery) -> list[Candidate]:
        self.asked.append(query)
        fitting = [one for one in self.numbers if one.startswith(f"+1{query.prefix}")]
        start = int(query.after or 0)
        end = start + min(query.limit, 10)
        following = str(end) if self.paged and end < len(fitting) else None
        shown = [Candidate(number=one) for one in fitting[start:end]]
        return Shown(shown, following=following, full=len(shown) == end - start)


def found(pages: SearchPages) -> list[str]:
    return [one.number for page in pages for one in page]


def query(limit: int = 100) -> SearchQuery:
    return SearchQuery(prefix="415", limit=limit)


def test_pages_are_followed_to_their_end() -> None:
    seller = Seller(NUMBERS, paged=True)
    pages = SearchPages(seller, query(), PAGED)
    assert (found(pages), pages.whole) == (NUMBERS, True)
    assert [one.after for one in seller.asked] == [None, "10", "20", "30", "40", "50"]


@pytest.mark.parametrize("count", [0, 9, 10, 11, 57])
def test_without_pages_longer_prefixes_show_the_rest(count: int) -> None:
    seller = Seller(NUMBERS[:count])
    pages = SearchPages(seller, query(), NARROWED)
    assert (sorted(found(pages)), pages.whole) == (NUMBERS[:count], True)
    assert len({one.prefix for one in seller.asked}) == len(seller.asked)


@pytest.mark.parametrize("paged", [True, False])
def test_a_page_that_may_lack_some_is_no_end(paged: bool) -> None:
    seller = Seller(NUMBERS[:25], paged=paged)
    asked: list[SearchQuery] = []

    def search(wanted: SearchQuery) -> list[Candidate]:
        asked.append(wanted)
        page = seller(wanted)
        assert isinstance(page, Shown)
        page.flaw = "a flaw" if len(asked) == 2 else None
        return page

    pages = SearchPages(search, query(), PAGED if paged else NARROWED)
    assert (sorted(found(pages)), pages.whole, pages.flaw) == (NUMBERS[:25], False, "a flaw")


def test_no_more_is_asked_for_than_is_taken() -> None:
    seller = Seller(NUMBERS, paged=True)
    next(iter(SearchPages(seller, query(), PAGED)))
    assert len(seller.asked) == 1


def test_what_can_be_asked_for_no_part_may_have_more() -> None:
    pages = SearchPages(Seller(NUMBERS), query(), NEITHER)
    assert (found(pages), pages.whole) == (NUMBERS[:10], False)
    few = SearchPages(Seller(NUMBERS[:9]), query(), NEITHER)
    assert (found(few), few.whole) == (NUMBERS[:9], True)


def _plain(_: SearchQuery) -> list[Candidate]:
    return [Candidate(number=NUMBERS[0])]


def _circle(asked: SearchQuery) -> list[Candidate]:
    return Shown(_plain(asked), following="1")


def _barren(asked: SearchQuery) -> list[Candidate]:
    return Shown(_plain(asked), following=str(int(asked.after or 0) + 1))


@pytest.mark.parametrize("search", [_plain, _circle, _barren])
def test_who_does_not_say_or_goes_in_circles_may_have_more(search: Callable[[SearchQuery], list[Candidate]]) -> None:
    calls: list[SearchQuery] = []

    def counted(asked: SearchQuery) -> list[Candidate]:
        calls.append(asked)
        return search(asked)

    pages = SearchPages(counted, query(), PAGED)
    assert (found(pages), pages.whole) == (NUMBERS[:1], False)
    assert len(calls) <= BARREN + 1


def test_a_prefix_is_never_longer_than_the_search_asks_for() -> None:
    seller = Seller([f"+141555500{n:02d}" for n in range(100)])
    pages = SearchPages(seller, query(), kinds()["signalwire"])
    assert (len(found(pages)), pages.whole) == (10, False)
    assert max(len(one.prefix) for one in seller.asked) == 7
