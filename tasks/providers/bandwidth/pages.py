"""Bandwidth's lists: what of a page of owned numbers or of a search is as documented, and what a record says.

<TelephoneNumbersResponse> holds TelephoneNumberCount, of all of them by our reading, Links, whose `next` leads to the
next page as text (`Link=<address>;rel="next"`), and TelephoneNumbers. Only the page of a link is followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from schemas.outcomes import LookKind
from tasks.providers.adapter import ProviderError
from tasks.providers.bandwidth.errors import errors
from tasks.providers.reading.list_page import Listing, Page
from tasks.providers.reading.searches import Listed, as_listed
from tasks.providers.transport.answers import fields
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session
from tasks.providers.transport.xml import many

PAGE_SIZE = 1000
_STATES = {
    "Inservice": LookKind.OWNED,
    "InAccount": LookKind.PROCESSING,
    **dict.fromkeys(("Aging", "Disconnected"), LookKind.LOST),
}
_LINK = re.compile(r"(?:Link=)?<([^<>\s]+)>\s*;.*", re.DOTALL)
_COUNT = re.compile("[0-9]{1,9}")
_OFFERS = ("ResultCount", "TelephoneNumberList")
_LIST = ("TelephoneNumbers", "TelephoneNumberCount", "Links")


def state_in(account: str) -> Callable[[Mapping[str, Any]], LookKind]:
    """What a record says of its number's state; UNCLEAR for one of another account, or in a state not documented."""

    def state(record: Mapping[str, Any]) -> LookKind:
        status = record.get("Status")
        if record.get("AccountId") != account or not isinstance(status, str):
            return LookKind.UNCLEAR
        return _STATES.get(status, LookKind.UNCLEAR)

    return state


def listing(account: str) -> Listing:
    """The list of one account. A number has no id but itself."""
    kind = state_in(account)
    needs, may = ("TelephoneNumberCount",), ("Links",)
    return Listing(
        entries="TelephoneNumbers",
        needs=needs,
        may=may,
        number="FullNumber",
        ids=("FullNumber",),
        kind=kind,
        of={"AccountId": account},
    )


def offers(session: Session, answer: Answer) -> Listed:
    """The numbers that a search shows, as they came. Raises ProviderError where it was not made.

    <SearchResult> holds ResultCount and TelephoneNumberList. What cannot be searched is a 400, whose Error stands in
    that very element, beside a count of 0: so nothing is for sale only where the count says so, and nothing else does.
    """
    result = fields(fields(answer.body).get("SearchResult"))
    found = many(fields(result.get("TelephoneNumberList")).get("TelephoneNumber"))
    codes = [error.get("Code") for error in errors(result)]
    empty = result.get("ResultCount") == "0" and not any(result[key] for key in result if key not in _OFFERS)
    if codes or not (found or empty):
        what = f"error {codes[0]} in place of a list" if codes else "no list as documented"
        raise ProviderError(session.unsettled(answer, "unreadable_answer", what))
    return as_listed(answer, found)


def numbers(session: Session, answer: Answer, listed: Listing) -> Page:
    """A page of the owned numbers. Raises ProviderError where there is no list in it."""
    root = fields(fields(answer.body).get("TelephoneNumbersResponse"))
    count, found = root.get("TelephoneNumberCount"), root.get("TelephoneNumbers")
    whole = isinstance(found, dict) and set(found) == {"TelephoneNumber"}
    entries = many(fields(found).get("TelephoneNumber")) if whole else None
    if found == "" or (found is None and count == "0"):
        entries = []
    flat = {**root, "TelephoneNumbers": entries}
    page = listed.page(session, replace(answer, body=flat), following(session, answer, root))
    if not isinstance(count, str) or not _COUNT.fullmatch(count):
        return replace(page, unread=session.unsettled(answer, "unreadable_list", "a count that is none"))
    return replace(page, total=int(count))


def following(session: Session, answer: Answer, root: Mapping[str, Any]) -> str | None:
    """The page that `next` leads to. Raises ProviderError for what leads to no further page of the same list."""
    links = root.get("Links")
    link = links.get("next") if isinstance(links, dict) else links
    if link in (None, ""):
        return None
    found = _LINK.fullmatch(link) if isinstance(link, str) else None
    page = _page_of(found[1], answer) if found else None
    if page is None:
        raise ProviderError(session.unsettled(answer, "foreign_link", "a next page that is not its own"))
    return page


def _page_of(address: str, answer: Answer) -> str | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    query = dict(parse_qsl(parts.query))
    same = all(query.get(key, str(answer.params[key])) == str(answer.params[key]) for key in ("accountId", "size"))
    return query.get("page") if same and parts.path.endswith("/tns") else None
