"""Which numbers are what was asked for, as far as a search tells."""

from __future__ import annotations

from schemas.by_criteria.criteria import Criteria, may_be
from schemas.money import Money
from schemas.outcomes import Candidate
from tasks.ledger.queue.purses import affordable
from tasks.providers.adapter import SearchQuery
from tasks.providers.reading.searches import international_prefix, offered
from tasks.supply.offers import Offer


def query_of(criteria: Criteria, limit: int) -> SearchQuery:
    """The search for numbers by *criteria*."""
    asked = {name: getattr(criteria, name) for name in ("country", "prefix", "type", "features", "contains")}
    return SearchQuery(limit=limit, **asked)


def fits(found: Candidate, query: SearchQuery, criteria: Criteria) -> bool:
    """Whether a candidate is what was asked for, as far as its number tells: its provider may have said so only."""
    number = found.number
    if offered(number, query) is None or number in criteria.exclude:
        return False
    national = number.removeprefix(international_prefix(SearchQuery(country=query.country)))
    return criteria.contains in national and (criteria.type is None or may_be(number, criteria.type))


def is_cheap(found: Candidate | Offer, criteria: Criteria, spend: Money | None = None) -> bool:
    """Whether a candidate costs no more than is wanted; no where that cannot be told and matters."""
    if spend is not None and not affordable([found.price], spend, spend.amount):
        return False
    if criteria.max_price is not None:
        return criteria.max_price.covers(found.price)
    return not criteria.prefer or (found.price is not None and found.price.monthly is not None)
