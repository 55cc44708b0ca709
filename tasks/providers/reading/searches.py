"""Numbers for sale: what a search asks for, and what its answer offers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from os.path import commonprefix
from typing import Any

import phonenumbers

from schemas.money import Price
from schemas.numbering.regions import region_of
from schemas.outcomes import DEARER, Candidate, Outcome, OutcomeKind
from tasks.providers.adapter import Ask, ProviderError, SearchQuery, Shown, Unsupported
from tasks.providers.reading.claims import read_claims
from tasks.providers.transport.answers import e164, fields, same_number
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session


class Listed(list[Any]):
    """What a search's answer lists, as it came.

    `flaw` is why it may lack what is for sale now; None where nothing says so. `more` is whether its headers tell of
    more than it lists, `old` whether its prices may be former ones.
    """

    def __init__(
        self, entries: Iterable[Any], *, flaw: str | None = None, more: bool = False, old: bool = False
    ) -> None:
        super().__init__(entries)
        self.flaw, self.more, self.old = flaw, more, old


def listed(session: Session, answer: Answer, entries: Any) -> Listed:
    """*entries* of a search, all objects. Raises ProviderError where they are anything else, or beside an error."""
    body = fields(answer.body)
    beside = body.get("error") or body.get("errors")
    if beside or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ProviderError(session.unsettled(answer, "unreadable_answer", "no list as documented"))
    found = as_listed(answer, entries)
    if body.get("warning") or body.get("warnings") or body.get("success") is False:
        found.flaw = found.flaw or "a warning beside its list"
    return found


def as_listed(answer: Answer, entries: Sequence[Any]) -> Listed:
    """*entries*, objects or numbers, with what the answer and its headers say of them."""
    claims = read_claims(answer.headers, len(entries))
    nameless = not all(map(_has_number, entries))
    more = claims.more or max(claims.pages or 0, 1) > 1 or (claims.total or 0) > len(entries)
    flaw = answer.flaw or claims.strange or ("an entry without a number" if nameless else None)
    return Listed(entries, flaw=flaw, more=more, old=answer.flaw is not None)


def _has_number(entry: Any) -> bool:
    return any(map(e164, entry.values() if isinstance(entry, Mapping) else [entry]))


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


def shown(
    query: SearchQuery, listed: Listed, found: Iterable[Candidate | None], limit: int, following: str | None = None
) -> Shown:
    """What one page of a search shows, of *limit* entries at the most: of each that is *listed* its candidate, None for
    one that is not what was asked for.
    """
    entries = list(found)
    fitting = [candidate for candidate in entries if candidate][:limit]
    if listed.old:
        fitting = [replace(candidate, price=None) for candidate in fitting]
    full = len(entries) >= limit
    # Headers that count beside a cursor, or where no page leads on, say what is known.
    hidden = listed.more and not (full or following or query.after)
    flaw = listed.flaw or ("headers that tell of more than it shows" if hidden else None)
    return Shown(fitting, following=following, full=full, flaw=flaw)


def of_number(items: Listed, key: str, number: str) -> list[Mapping[str, Any]]:
    """What a search for all that begins like *number* shows of that very one, by the items' *key*.

    Raises ProviderError where it does not show it and is not of now, or shows others only, of which one does not begin
    so: that says nothing of this number.
    """
    own = [item for item in items if same_number(item.get(key), number)]
    if not own and (items.flaw or items.more):
        error = f"a search for {number} may lack it, for it was answered with {items.flaw or 'a part of what there is'}"
        raise ProviderError(Outcome(kind=OutcomeKind.UNKNOWN, error_code="unreadable_answer", error=error))
    if not own and not all((e164(item.get(key)) or "").startswith(number) for item in items):
        error = f"a search for {number} was answered with numbers that do not begin so"
        raise ProviderError(Outcome(kind=OutcomeKind.UNKNOWN, error_code="other_question", error=error))
    return own


def within_price(ask: Ask, items: Iterable[Mapping[str, Any]], price: Callable[[Any], Price | None]) -> list[Any]:
    """Those of an *ask*'s own *items* that cost no more by now than the search told by which it was chosen."""
    if ask.price is None:
        return [*items]
    return [item for item in items if (now := price(item)) is not None and now.within(ask.price)]


def at_its_price(
    session: Session, ask: Ask, items: Sequence[Mapping[str, Any]], price: Callable[[Any], Price | None]
) -> Ask | Outcome:
    """*ask*, unless any of its own *items* costs more by now: where a purchase names the number alone."""
    return ask if len(within_price(ask, items, price)) == len(items) else dearer(session, ask)


def dearer(session: Session, ask: Ask) -> Outcome:
    """The outcome of a number that is not bought for what it costs by now."""
    error = f"{ask.number} costs more by now than {ask.price}, or does not tell: search for another"
    return session.outcome(OutcomeKind.REFUSED, code=DEARER, error=error)


Searching = Callable[[str, str], Sequence[Mapping[str, Any]]]
"""What is for sale that begins like a number, with what that begins with; both E.164. Raises ProviderError."""


def found_together(asks: Sequence[Ask], search: Searching, key: str) -> list[list[Mapping[str, Any]] | Outcome | None]:
    """What one search for all numbers of an area shows of each of *asks*, by the items' *key*.

    None for one that it does not show, or that is alone in its area: only a search for itself says more of it. What
    ends the searches of the account for now is the outcome of all that were not found before.
    """
    found: dict[str, list[Mapping[str, Any]] | Outcome] = {}
    for numbers in _areas([ask.number for ask in asks]):
        try:
            items = search(numbers[0], commonprefix(numbers))  # noqa: RUF071 - numbers are no paths
        except ProviderError as exc:
            failed = search_failed(exc.outcome)
            if failed.held_back or failed.kind in (OutcomeKind.THROTTLED, OutcomeKind.ACCOUNT):
                return [found.get(ask.number, failed) for ask in asks]
            continue
        shown = {number: [item for item in items if same_number(item.get(key), number)] for number in numbers}
        found |= {number: own for number, own in shown.items() if own}
    return [found.get(ask.number) for ask in asks]


def _areas(numbers: Sequence[str]) -> list[list[str]]:
    """Those of *numbers* that share their country and area code with others of them."""
    areas = defaultdict(list)
    for number in numbers:
        parsed = phonenumbers.parse(number)
        code = phonenumbers.length_of_national_destination_code(parsed)
        area, region = phonenumbers.national_significant_number(parsed)[:code], region_of(number)
        if area and region:
            areas[region, area].append(number)
    return [found for found in areas.values() if len(found) > 1]


def search_failed(outcome: Outcome) -> Outcome:
    """What a purchase comes to whose search failed: it was not sent, whatever the failure; a no is a no."""
    if outcome.held_back or outcome.kind in (OutcomeKind.THROTTLED, OutcomeKind.ACCOUNT, OutcomeKind.REFUSED):
        return outcome
    return replace(outcome, kind=OutcomeKind.NOT_SENT, error_code="search_failed")
