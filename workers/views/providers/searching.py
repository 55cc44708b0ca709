"""Searching one provider: page by page, each in its turn, until there are enough numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.config.file import Config
from schemas.outcomes import Candidate
from tasks.providers.adapter import SearchQuery
from tasks.providers.reading.search_pages import SearchPages
from tasks.providers.registry import kinds
from workers.views.providers.asking import asking
from workers.views.words import count


@dataclass(frozen=True)
class Found:
    """The numbers that a search gave; `whole` tells that the provider shows no other.

    `others` counts what it showed beside them, which was not wanted; `flaw` is why it may lack some.
    """

    numbers: Sequence[Candidate]
    whole: bool
    others: int = 0
    flaw: str | None = None


def search(
    config: Config,
    alias: str,
    query: SearchQuery,
    *,
    wanted: Callable[[Candidate], bool] = lambda _: True,
    seconds: float = float("inf"),
) -> Found:
    """At most `query.limit` *wanted* numbers; after so many *seconds* no further page is asked for.

    Raises Failure, ConfigError, Unsupported and ProviderError.
    """
    found, others, end = list[Candidate](), 0, time.monotonic() + seconds
    with asking(config, alias) as adapter:
        pages = SearchPages(adapter.search, query, kinds()[config.providers[alias].kind])
        for page in pages:
            fitting = [one for one in page if wanted(one)]
            others += len(page) - len(fitting)
            found += fitting
            if len(found) >= query.limit or time.monotonic() > end:
                break
    return Found(found[: query.limit], pages.whole, others, pages.flaw)


def why_no_more(found: Found, alias: str) -> str:
    """Why there are fewer numbers than were asked for, and what to try."""
    many = count(len(found.numbers), "such number")
    if found.flaw:
        return f"{alias} shows {many}, and may have others, for it answered with {found.flaw}: search again later"
    if not (found.numbers or found.others):
        return f"{alias} shows no such number: try another prefix or country"
    if found.whole:
        return f"{alias} shows {many}, and no more: try another prefix"
    shows = f"{alias} shows {many} at once, and may have others"
    return f"{shows}: search for them by another prefix, like an area code or a longer one"
