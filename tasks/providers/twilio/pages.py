"""Twilio's list of numbers: what of a page is as its specification has it.

{incoming_phone_numbers, page, page_size, start, end, uri, first_page_uri, next_page_uri, previous_page_uri}. What a
page says of itself must be what was asked; only the query of its links is followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from schemas.outcomes import LookKind
from tasks.providers.adapter import ProviderError
from tasks.providers.reading.claims import other_question
from tasks.providers.reading.filters import contains, names
from tasks.providers.reading.list_page import Listing
from tasks.providers.transport.answers import fields
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session

ENTRIES = "incoming_phone_numbers"
NEXT = "next_page_uri"
_LINKS = ("uri", "first_page_uri", "previous_page_uri")
_COUNTS = ("page", "page_size", "start", "end")
_ADDRESSES = ("voice_url", "voice_fallback_url", "sms_url", "sms_fallback_url", "status_callback")
"""Where a number's calls and messages go: an application's address may well name the number that it forwards to."""


def listing(account_sid: str) -> Listing:
    """The list of one account. `status` has no description, so every record is ours; but not one of another account."""

    def state(record: Mapping[str, Any]) -> LookKind:
        return LookKind.OWNED if record.get("account_sid") in (None, account_sid) else LookKind.UNCLEAR

    return Listing(
        entries=ENTRIES,
        needs=(NEXT,),
        may=(*_LINKS, *_COUNTS),
        strange=_strange,
        number="phone_number",
        ids=("sid",),
        kind=state,
        others=_ADDRESSES,
        filters={"PhoneNumber": contains("phone_number"), "FriendlyName": names("friendly_name")},
        of={"account_sid": account_sid},
    )


def following(session: Session, answer: Answer) -> str | None:
    """The query of `next_page_uri`. Raises ProviderError for a link to anything but a further page of the same list."""
    link = fields(answer.body).get(NEXT)
    if link is None or link == "":
        return None
    text = link if isinstance(link, str) else ""
    query = _query(text)
    if not query or other_question(text, answer.asked, answer.params, ("Page", "PageToken")):
        raise ProviderError(session.unsettled(answer, "foreign_link", "a next page that is not its own"))
    return query


def _query(link: str) -> str:
    try:
        return urlsplit(link).query
    except ValueError:
        return ""


def _strange(answer: Answer) -> str | None:
    return next(_flaws(answer), None)


def _flaws(answer: Answer) -> Iterator[str]:
    body = fields(answer.body)
    here = int(str(answer.params.get("Page") or 0))
    pages = {"uri": here, "first_page_uri": 0, "previous_page_uri": here - 1}
    for name in (name for name in _LINKS if body.get(name) is not None):
        text, ours = body[name], {**answer.params, "Page": pages[name]}
        if not isinstance(text, str) or pages[name] < 0:
            yield f"{name} on its page {here}"
        elif wrong := other_question(text, answer.asked, ours, ("PageToken",)):
            yield wrong
    yield from _miscounted(body, here, answer.params["PageSize"])
    if not body.get(ENTRIES) and body.get(NEXT):
        yield "no number, and a link to another page"


def _miscounted(body: Mapping[str, Any], here: int, size: int) -> Iterator[str]:
    """What its counts say, where that is another page than was asked for, or not what it shows."""
    listed = body.get(ENTRIES)
    shown = len(listed) if isinstance(listed, list) else 0
    wanted = {"page": here, "page_size": size, "start": here * size, "end": here * size + shown - 1}
    for name, value in wanted.items():
        said = body.get(name)
        # The end of a page without an entry is not told by the specification.
        if said is not None and (isinstance(said, bool) or said != value) and (shown or name not in ("start", "end")):
            yield f"{name} {said} where it is {value}"
