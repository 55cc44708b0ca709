"""Plivo's list of numbers: {api_id, meta: {limit, offset, next, previous, total_count}, objects}, 20 at most a page.

What `meta` says must be of the page that was asked for; its links are compared, and pages are asked for by offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.outcomes import LookKind
from tasks.providers.adapter import ProviderError
from tasks.providers.reading.claims import other_question
from tasks.providers.reading.filters import begins
from tasks.providers.reading.list_page import Listing
from tasks.providers.transport.answers import fields
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session

PAGE_SIZE = 20
_META = ("limit", "offset", "next", "previous", "total_count")


def following(session: Session, answer: Answer) -> str | None:
    """The offset of the next page. Raises ProviderError where `meta.next` leads to anything else."""
    link = fields(fields(answer.body).get("meta")).get("next")
    if link is None or link == "":
        return None
    offset = answer.params["offset"] + answer.params["limit"]
    if not isinstance(link, str) or other_question(link, answer.asked, {**answer.params, "offset": offset}):
        raise ProviderError(session.unsettled(answer, "foreign_link", "a next page that is not its own"))
    return str(offset)


def is_count(value: Any) -> bool:
    """Whether a total is one."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _state(record: Mapping[str, Any]) -> LookKind:
    active = record.get("active")
    if not isinstance(active, bool):
        return LookKind.UNCLEAR
    return LookKind.OWNED if active else LookKind.PROCESSING


def _strange(answer: Answer) -> str | None:
    """What of `meta` is not as documented, or not of the page that was asked for."""
    meta = fields(answer.body).get("meta")
    if not isinstance(meta, dict) or "next" not in meta:
        return "no meta that tells of further pages"
    if foreign := [key for key in meta if key not in _META]:
        return f"{foreign[0]!r} in its meta"
    for name in ("limit", "offset"):
        said = meta.get(name)
        if said is not None and (isinstance(said, bool) or said != answer.params[name]):
            return f"another {name} than was asked for"
    if meta.get("total_count") is not None and not is_count(meta["total_count"]):
        return "a total that is no count"
    if not fields(answer.body).get("objects") and meta["next"]:
        return "no number, and a link to another page"
    return _strange_before(answer, meta.get("previous"))


def _strange_before(answer: Answer, link: Any) -> str | None:
    if link is None or link == "":
        return None
    offset = answer.params["offset"] - PAGE_SIZE
    if not isinstance(link, str) or offset < 0:
        return "a page before the first"
    return other_question(link, answer.asked, {**answer.params, "offset": offset})


LISTING = Listing(
    entries="objects",
    needs=("meta",),
    may=("api_id",),
    strange=_strange,
    bare=True,
    ids=("number",),
    kind=_state,
    filters={"number_startswith": begins("number")},
)
