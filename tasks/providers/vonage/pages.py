"""Vonage's list of numbers: {count, numbers: [{country, msisdn, type, features}]}, 100 at most a page, index from 1.

`{}` is what its client library expects where nothing is found. It is no list: of a question for one number it only says
that the whole list has to be read, and of the whole list it says nothing. So nothing is ever *absent* from an account
without a single number. A `pattern` is asked for with search_pattern 0 alone: numbers that begin with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.outcomes import NOTHING_SHOWN
from tasks.providers.adapter import ProviderError
from tasks.providers.reading.filters import begins
from tasks.providers.reading.list_page import Listing, Page
from tasks.providers.transport.answers import fields
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session

PAGE_SIZE = 100
CALLBACKS = ("moHttpUrl", "voiceCallbackValue", "voiceStatusCallback", "messagesCallbackValue")
"""Where a number's calls and messages go: that may well be another number."""


def where(cursor: str | None) -> tuple[int, int]:
    """The index of a page, and how many numbers were seen before it."""
    index, _, seen = (cursor or "1:0").partition(":")
    return int(index), int(seen)


def read_page(session: Session, answer: Answer, cursor: str | None) -> Page:
    """The page that *cursor* leads to; further ones follow until as many were seen as it says that there are.

    Raises ProviderError where there is no list in it.
    """
    index, seen = where(cursor)
    if nothing_found(answer):
        what = "`{}`, as where nothing is found: that does not prove that the account owns no number"
        raise ProviderError(session.unsettled(answer, NOTHING_SHOWN, what))
    body = fields(answer.body)
    shown, count = body.get("numbers"), body.get("count")
    if not isinstance(shown, list) or not isinstance(count, int) or not is_count(count):
        return LISTING.page(session, answer, None)
    seen += len(shown)
    page = LISTING.page(session, answer, f"{index + 1}:{seen}" if shown and seen < count else None)
    if seen > count and page.unread is None:
        return replace(page, unread=session.unsettled(answer, "unreadable_list", "more numbers than its count"))
    return replace(page, total=count)


def nothing_found(answer: Answer) -> bool:
    """Whether a question for some numbers found none."""
    return answer.status == 200 and answer.body == {} and answer.flaw is None


def is_count(value: Any) -> bool:
    """Whether a total is one."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _strange(answer: Answer) -> str | None:
    body = fields(answer.body)
    if not is_count(body.get("count")):
        return "a count that is none"
    return f"no number, and a count of {body['count']}" if body["count"] and not body.get("numbers") else None


LISTING = Listing(
    entries="numbers",
    needs=("count",),
    strange=_strange,
    number="msisdn",
    bare=True,
    ids=("msisdn",),
    others=CALLBACKS,
    filters={"pattern": begins("msisdn")},
)
