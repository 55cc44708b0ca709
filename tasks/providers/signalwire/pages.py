"""SignalWire's list, {links, data}: which page an answer is, and where the next one stands, by its page 'Paging'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from tasks.providers.adapter import ProviderError
from tasks.providers.reading.claims import elsewhere, other_question
from tasks.providers.reading.filters import contains
from tasks.providers.reading.list_page import Listing
from tasks.providers.transport.answers import fields
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session

HOSTS = ".signalwire.com"
NUMBERS = "/api/relay/rest/phone_numbers"
LINKS = ("self", "first", "next", "prev")
HANDLERS = (
    *("call_request_url", "call_fallback_url", "call_status_callback_url", "call_relay_script_url"),
    *("call_relay_topic", "call_relay_topic_status_callback_url", "call_relay_context", "call_verto_resource"),
    *("call_relay_context_status_callback_url", "call_relay_application", "message_request_url"),
    *("message_fallback_url", "message_relay_topic", "message_relay_context"),
)
"""Where a number's calls and messages go: an application's address may well name the number that it forwards to.

Its `name` is no such key: SignalWire gives it, by our reading, the number itself.
"""


def following(session: Session, answer: Answer) -> str | None:
    """The query of `links.next`. Only the query is followed: the token never goes to where a body says.

    Raises ProviderError for a link that leads elsewhere.
    """
    links = fields(answer.body).get("links", {})
    link = fields(links).get("next")
    if isinstance(links, dict) and link in (None, ""):
        return None
    parts = _split(link if isinstance(link, str) else "")
    ours = urlsplit(session.base_url)
    if _is_elsewhere(parts, ours) or not parts.path.endswith(NUMBERS) or not parts.query:
        raise ProviderError(session.unsettled(answer, "foreign_link", "a next page that is not its own"))
    return parts.query


def _strange_links(answer: Answer) -> str | None:
    """What of `links` is not as documented: a page that shows no number is the only one."""
    body = fields(answer.body)
    links = fields(body.get("links"))
    if not all(link is None or isinstance(link, str) for link in links.values()):
        return "a link that is no text"
    foreign = next((key for key in links if key not in LINKS and not _is_harmless(key, links)), None)
    if foreign is not None:
        return f"{foreign!r} among its links"
    if not body.get("data") and (links.get("next") or links.get("prev")):
        return "no number, and a link to another page"
    return _of_another_page(answer, links)


def _of_another_page(answer: Answer, links: Mapping[str, Any]) -> str | None:
    """What its links say of which page it is, where that is not the one that was asked for."""
    here = str(answer.params.get("page_number") or 0)
    if here == "0" and links.get("prev"):
        return "a page before the first"
    wanted = {"self": here, "first": "0", "prev": str(int(here) - 1 if here.isdecimal() else "")}
    said = (
        other_question(links[name], answer.asked, {**answer.params, "page_number": number}, ("page_token",), HOSTS)
        for name, number in wanted.items()
        if links.get(name)
    )
    return next(filter(None, said), None)


def _is_harmless(key: str, links: Mapping[str, Any]) -> bool:
    """Whether a link of another name leads to no page that the documented ones do not lead to.

    Its name says nothing: what leads on under another is a further page. Only `last` is known by its name (RFC 8288),
    and may be far where there is a `next`: on the last page it leads to that page itself.
    """
    page = _page_of(links[key])
    if not links[key] or (key == "last" and page and links.get("next")):
        return True
    return page is not None and page in {_page_of(links.get(name)) for name in LINKS}


def _page_of(link: str | None) -> tuple[str, ...] | None:
    """Which page of the list a link leads to; None for another address. Its token may differ by where it stands."""
    parts = _split(link or "")
    query = {"page_number": "0", **dict(parse_qsl(parts.query))}
    query.pop("page_token", None)
    return (parts.netloc, parts.path, *map(str, sorted(query.items()))) if parts.path.endswith(NUMBERS) else None


def _is_elsewhere(link: SplitResult, ours: SplitResult) -> bool:
    try:
        return elsewhere(link, ours, HOSTS)
    except ValueError:  # a port that is none
        return True


def _split(link: str) -> SplitResult:
    try:
        return urlsplit(link)
    except ValueError:
        return urlsplit("")


LISTING = Listing(
    entries="data",
    needs=("links",),
    strange=_strange_links,
    others=HANDLERS,
    filters={"filter_number": contains("number")},
)
