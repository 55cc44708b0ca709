"""Numbers for sale: what a search asks for, and what its answer offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import phonenumbers

from schemas.money import Price
from schemas.outcomes import Candidate, Outcome, OutcomeKind
from schemas.regions import region_of
from tasks.providers.adapter import ProviderError, SearchQuery, Shown, Unsupported
from tasks.providers.transport.answers import e164, same_number


def international_prefix(query: SearchQuery) -> str:
    """The query's prefix with the plus and the country's calling code. Raises Unsupported for an unknown country."""
    code = phonenumbers.country_code_for_region(query.country)
    if not code:
        raise Unsupported(f"{query.country!r} is no country: use an ISO 3166-1 code like US")
    return f"+{code}{query.prefix}"


def page_size(query: SearchQuery, most: int) -> int:
    """The query's limit within what the provider's page allows."""
    return min(max(query.limit, 1), most)


def offered(
    value: Any, query: SearchQuery, *, region: str | None = None, price: Price | None = None, stock: str | None = None
) -> Candidate | None:
    """The candidate for a foreign number; None where it is none, or not what was asked for."""
    number = e164(value)
    if number is None or not number.startswith(international_prefix(query)) or region_of(number) != query.country:
        return None
    return Candidate(number=number, region=region, price=price, stock_item_id=stock)


def able(candidate: Candidate | None, query: SearchQuery, shows: Iterable[Any]) -> Candidate | None:
    """The candidate where what its entry *shows* has all features that are asked for; what it does not tell it has not.

    *shows* are names, of any case.
    """
    has = {name.casefold() for name in shows if isinstance(name, str)}
    return candidate if has.issuperset(query.features) else None


def true_names(value: Any) -> list[str]:
    """The names that stand in a list of them, or in an object with true beside them."""
    if isinstance(value, Mapping):
        return [name for name, told in value.items() if told is True]
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def shown(found: Iterable[Candidate | None], limit: int, following: str | None = None) -> Shown:
    """What a search for *limit* numbers shows: each entry's candidate, None for one that is not what was asked for."""
    entries = list(found)
    fitting = [candidate for candidate in entries if candidate][:limit]
    return Shown(fitting, following=following, full=len(entries) >= limit)


def of_number(items: Sequence[Mapping[str, Any]], key: str, number: str) -> list[Mapping[str, Any]]:
    """What a search for all that begins like *number* shows of that very one, by the items' *key*.

    Raises ProviderError where it shows others only, of which one does not begin so: that says nothing of this number.
    """
    own = [item for item in items if same_number(item.get(key), number)]
    if not own and not all((e164(item.get(key)) or "").startswith(number) for item in items):
        error = f"a search for {number} was answered with numbers that do not begin so"
        raise ProviderError(Outcome(kind=OutcomeKind.UNKNOWN, error_code="other_question", error=error))
    return own


def search_failed(outcome: Outcome) -> Outcome:
    """What a purchase comes to whose search failed: it was not sent, whatever the failure; a no is a no."""
    if outcome.held_back or outcome.kind in (OutcomeKind.THROTTLED, OutcomeKind.ACCOUNT, OutcomeKind.REFUSED):
        return outcome
    return replace(outcome, kind=OutcomeKind.NOT_SENT, error_code="search_failed")
