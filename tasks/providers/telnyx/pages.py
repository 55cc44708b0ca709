"""Telnyx's lists, {data, meta}: what of a page is as its specification has it, and what a number's record says.

`meta` is {page_number, page_size, total_pages, total_results}, and must be of the page that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from schemas.outcomes import LookKind
from tasks.providers.reading.filters import contains
from tasks.providers.reading.list_page import Listing, Page
from tasks.providers.transport.answers import fields
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session

PAGE_SIZE = 250
PAGE, SIZE = "page[number]", "page[size]"
_COUNTS = ("page_number", "page_size", "total_pages", "total_results")

_STATES = {
    "active": LookKind.OWNED,
    **dict.fromkeys(("purchase-pending", "provision-pending"), LookKind.PROCESSING),
    **dict.fromkeys(
        tuple(f"requirement-info-{word}" for word in ("pending", "under-review", "exception")), LookKind.PROCESSING
    ),
    **dict.fromkeys(("purchase-failed", "deleted"), LookKind.LOST),
}
"""A row is no yes: only active is. What is ported, or kept for emergency calls, is not said to be usable or gone."""


def state(record: Mapping[str, Any]) -> LookKind:
    """What a number's `status` says; UNCLEAR for one that says neither yes nor no."""
    status = record.get("status")
    return _STATES.get(status, LookKind.UNCLEAR) if isinstance(status, str) else LookKind.UNCLEAR


def strange(answer: Answer) -> str | None:
    """What of `meta` is not as documented, or of another page."""
    body = fields(answer.body)
    meta = body.get("meta")
    if not isinstance(meta, dict) or any(_count(meta.get(key)) is None for key in _COUNTS):
        return "a meta that is not as documented"
    if any(value for key, value in meta.items() if key not in _COUNTS):
        return "a meta that says more than documented"
    if meta["page_number"] != answer.params.get(PAGE) or meta["page_size"] != answer.params.get(SIZE):
        return "another page than was asked for"
    further = meta["page_number"] < meta["total_pages"]
    return "no number, and a further page" if further and not body.get("data") else None


FILTER = "filter[phone_number]"
LISTING = Listing(
    entries="data",
    needs=("meta",),
    strange=strange,
    number="phone_number",
    kind=state,
    filters={FILTER: contains("phone_number")},
)


def numbers(session: Session, answer: Answer) -> Page:
    """A page of the owned numbers. Raises ProviderError where there is no list in it."""
    meta = fields(fields(answer.body).get("meta"))
    here, last = (_count(meta.get(key)) for key in ("page_number", "total_pages"))
    following = str(here + 1) if here is not None and last is not None and here < last else None
    return replace(LISTING.page(session, answer, following), total=_count(meta.get("total_results")))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
