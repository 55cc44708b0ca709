"""Vonage's numbers for sale: what its search shows, and what each offer says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from schemas.by_criteria.criteria import NumberType
from schemas.money import Price, read_price
from schemas.numbering.numbers import digits_only
from schemas.outcomes import Candidate
from tasks.providers.adapter import SearchQuery, Shown
from tasks.providers.reading import searches
from tasks.providers.transport.answers import fields
from tasks.providers.transport.session import Session
from tasks.providers.vonage.pages import PAGE_SIZE, is_count, nothing_found

SEARCH = "/number/search"
CURRENCY = "EUR"
BEGINS = "0"
"""The search_pattern of what begins with the pattern."""
TYPES: Mapping[NumberType, str] = {"local": "landline", "mobile": "mobile-lvn", "toll-free": "landline-toll-free"}


def search(session: Session, query: SearchQuery) -> list[Candidate]:
    """Numbers for sale, a page of them. Raises ProviderError, and Unsupported for an unknown country."""
    limit = searches.page_size(query, PAGE_SIZE)
    begins = digits_only(searches.international_prefix(query))
    pattern = {"pattern": begins, "search_pattern": BEGINS} if query.prefix else {}
    index = int(query.after or 1)
    of = {"type": TYPES[query.type]} if query.type else {}
    asked = {"country": query.country, "size": limit, "index": index, **pattern, **of}
    answer = session.call("GET", SEARCH, params=asked)
    if nothing_found(replace(answer, flaw=None)):
        return Shown(flaw=answer.flaw)
    items = searches.listed(session, answer, fields(answer.body).get("numbers"))
    found = (
        searches.able(
            searches.offered(item.get("msisdn"), query, price=_price(item)),
            query,
            searches.true_names(item.get("features")),
        )
        for item in items
        if query.type is None or item.get("type") == TYPES[query.type]
    )
    count: Any = fields(answer.body).get("count")
    more = items and is_count(count) and index * limit < count
    if not is_count(count) or (not items and (index - 1) * limit < count):
        items.flaw = items.flaw or "a count of others than it shows"
    return searches.shown(query, items, found, limit, str(index + 1) if more else None)


def _price(item: Mapping[str, Any]) -> Price | None:
    return read_price(monthly=item.get("cost"), setup=item.get("initialPrice"), currency=CURRENCY)
