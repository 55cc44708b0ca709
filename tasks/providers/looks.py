"""Walking lists, and looking numbers up: a walk that breaks off says nothing about what it did not reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from tasks.providers.base import EachPage, ProviderError, no_pause

# At 100 a page a million numbers: no account is larger, but a list without end could be.
MAX_PAGES = 10_000

Page = tuple[list[Mapping[str, Any]], str | None]


def walk(fetch: Callable[[str | None], Page], each_page: EachPage = no_pause) -> Iterator[Mapping[str, Any]]:
    """All entries of a paged list. *fetch* gets a cursor (None at first), and gives entries and the next cursor.

    *each_page* is called before each fetch, and again after a 429, from which the walk then goes on.

    Raises ProviderError where the list goes round in circles, and what *fetch* and *each_page* raise.
    """
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        entries, cursor = _fetched(fetch, cursor, each_page)
        yield from entries
        if cursor is None:
            return
        if cursor in seen:
            break
        seen.add(cursor)
    error = f"the list has no end: page {len(seen) + 1} leads back or beyond {MAX_PAGES} pages"
    raise ProviderError(Outcome(kind=OutcomeKind.UNKNOWN, error_code="endless_list", error=error))


def _fetched(fetch: Callable[[str | None], Page], cursor: str | None, each_page: EachPage) -> Page:
    throttled: ProviderError | None = None
    while True:
        each_page(throttled)
        try:
            return fetch(cursor)
        except ProviderError as exc:
            if exc.outcome.kind is not OutcomeKind.THROTTLED:
                raise
            throttled = exc


def look_each(numbers: Mapping[str, str | None], look: Callable[[str, str | None], Look]) -> dict[str, Look]:
    """Look the numbers up one by one. After a 429 or a refused account no further call is made."""
    looks: dict[str, Look] = {}
    for number, known in numbers.items():
        try:
            looks[number] = look(number, known)
        except ProviderError as exc:
            looks[number] = unclear(exc.outcome)
            if exc.outcome.kind in (OutcomeKind.THROTTLED, OutcomeKind.ACCOUNT):
                break
    return {number: looks.get(number) or looks[list(looks)[-1]] for number in numbers}


def unclear(outcome: Outcome) -> Look:
    """What a failed look-up says: nothing, and why."""
    return Look(
        kind=LookKind.UNCLEAR,
        error=outcome.error,
        account=outcome.kind is OutcomeKind.ACCOUNT,
        throttled=outcome.kind is OutcomeKind.THROTTLED,
        waiting=outcome.kind is OutcomeKind.THROTTLED,
        retry_after=outcome.retry_after,
    )
