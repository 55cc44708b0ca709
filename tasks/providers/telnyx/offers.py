"""Telnyx's numbers for sale: what its search shows, and what each offer says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.by_criteria.criteria import NumberType
from schemas.money import Price, read_price
from schemas.outcomes import Candidate
from tasks.providers.adapter import SearchQuery
from tasks.providers.reading import searches
from tasks.providers.reading.searches import Listed
from tasks.providers.transport.answers import entries, fields
from tasks.providers.transport.session import Session

SEARCH = "/v2/available_phone_numbers"


def listed(session: Session, country: str, prefix: str, limit: int, of_type: NumberType | None = None) -> Listed:
    """What a search shows of the national numbers that begin so; never its best effort, which is something else.

    Raises ProviderError.
    """
    begins = {"filter[phone_number][starts_with]": prefix} if prefix else {}
    of = {"filter[phone_number_type]": of_type.replace("-", "_")} if of_type else {}
    asked = {"filter[country_code]": country, "filter[limit]": limit, "filter[best_effort]": "false"}
    answer = session.call("GET", SEARCH, params={**asked, **begins, **of})
    return searches.listed(session, answer, fields(answer.body).get("data"))


def candidate(session: Session, item: Mapping[str, Any], query: SearchQuery) -> Candidate | None:
    """The number of an offer, where it is what was asked for."""
    found = searches.offered(item.get("phone_number"), query, region=_region(session, item), price=price(item))
    return searches.able(found, query, [one.get("name") for one in entries(item.get("features"))])


def _region(session: Session, item: Mapping[str, Any]) -> str | None:
    regions = {one.get("region_type"): one.get("region_name") for one in entries(item.get("region_information"))}
    return session.text(regions.get("state") or regions.get("location"))


def price(item: Mapping[str, Any]) -> Price | None:
    """What an offer costs, None where it does not tell."""
    cost = fields(item.get("cost_information"))
    return read_price(monthly=cost.get("monthly_cost"), setup=cost.get("upfront_cost"), currency=cost.get("currency"))
