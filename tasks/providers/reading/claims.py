"""What an answer says of its own question: which page it is, which range, of how many, and whether more follow.

A gateway that mixes up two questions, or a server that clamps one, says so here, if anywhere. What is said must be what
was asked, and what cannot be understood is not passed over: such a list is not whole. What is not said says nothing.

Beside a body's own words these headers speak: `Content-Range` in a unit of entries (RFC 9110, 14.4), `Link` with its
relations (RFC 8288), and the X- headers that frameworks write (X-Total-Count, X-Total-Pages, X-Page, X-Next-Page).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

_RANGE = re.compile(r"(?:([a-z]+)[ =])?(?:([0-9]{1,9})-([0-9]{1,9})|\*)/([0-9]{1,9}|\*)", re.IGNORECASE)
_WHAT = r"(?:-?(?:count|items|results|records|entries|elements|objects|numbers))"
_TOTAL = re.compile(rf"(?:x-)?(?:(?:wp|pagination|collection|list)-)?total{_WHAT}?")
_PAGES = re.compile(r"(?:x-)?(?:(?:wp|pagination)-)?(?:total-?pages|page-?count|pages)")
_INDEX = re.compile(r"(?:x-)?(?:pagination-)?(?:current-)?page(?:-(?:number|index))?")
_NEXT = re.compile(
    r"(?:x-)?(?:pagination-)?(?:next(?:-(?:page|cursor|token|page-token|link|url))?|has-(?:more|next)(?:-page)?)"
)
_BEFORE = re.compile(
    r"(?:x-)?(?:pagination-)?(?:prev(?:ious)?(?:-(?:page|cursor|link|url))?|has-prev(?:ious)?(?:-page)?)"
)
_PART = re.compile(r"(?:.*-)?(?:partial|incomplete|truncated)(?:-.*)?")
_RELATIONS = re.compile(r"""(?i);\s*rel\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;,"']+))""")
_NO = ("", "0", "false", "no", "none", "null")


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What the headers of one page say of it: how many entries are before it and are there at all, which page of how
    many it is, whether there is one before it or behind it, and what of that cannot be understood.
    """

    start: int | None = None
    total: int | None = None
    index: int | None = None
    pages: int | None = None
    before: bool = False
    more: bool = False
    strange: str | None = None

    def wrong(self, *, page: int, seen: int, last: bool) -> str | None:
        """What of it is not so of the *page*th page, counted from 1, with *seen* entries before it."""
        if self.start not in (None, seen):
            return f"a range that begins at {self.start}, where {seen} were asked for already"
        if self.index not in (None, page - 1, page) or (self.before and page == 1):
            return f"another page than number {page}"
        if last and (self.more or (self.pages or 0) > page):
            return "no way to the further pages that it tells of"
        return self.strange


def read_claims(headers: Mapping[str, str], shown: int) -> Claims:
    """What *headers* say of a page that shows so many entries."""
    said = {name.lower(): headers[name].strip() for name in headers}
    relations = _relations(said.get("link", ""))
    counts = {key: _count(said, names) for key, names in (("total", _TOTAL), ("index", _INDEX), ("pages", _PAGES))}
    start, ranged, strange = _range(said.get("content-range"), shown)
    if any(count == -1 for count in counts.values()):
        strange = "a header that counts, and not in numbers"
    if _any(said, _PART):
        strange = "a header that calls it a part"
    if "problem+json" in said.get("content-type", ""):
        strange = "an error by its type (RFC 9457)"
    return Claims(
        start=start,
        total=max((one for one in (counts["total"], ranged) if one is not None), default=None),
        index=counts["index"],
        pages=counts["pages"],
        before="prev" in relations or "previous" in relations or _any(said, _BEFORE),
        more="next" in relations or _any(said, _NEXT),
        strange=strange,
    )


def elsewhere(link: SplitResult, own: SplitResult, hosts: str) -> bool:
    """Whether a link leads to another place than our *own* address.

    The provider's own *hosts* (the end of their names, like '.example.com') are none where we reach it through a
    gateway, which need not know what stands in an answer.
    """
    if not link.netloc or _origin(link) == _origin(own):
        return False
    gateway = not (own.hostname or "").endswith(hosts)
    return not (hosts and gateway and link.scheme == "https" and (link.hostname or "").endswith(hosts))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def other_question(
    link: str, asked: str, ours: Mapping[str, Any], free: tuple[str, ...] = (), hosts: str = ""
) -> str | None:
    """Why *link* is not of the question *asked*, both of them addresses; None where it is.

    *ours* are the parameters that it must have where it has them at all; *free* are those that may be anything; *hosts*
    are as in `elsewhere`.
    """
    try:
        parts, own = urlsplit(link), urlsplit(asked)
        away = elsewhere(parts, own, hosts)
    except ValueError:
        return "a link that is none"
    if away or (parts.path and not own.path.endswith(parts.path) and not parts.path.endswith(own.path)):
        return "a link to another list"
    for name, value in parse_qsl(parts.query):
        if name not in free and value.strip(" +") != str(ours.get(name, "")).strip(" +"):
            return f"a link to another question: {name} is {value[:40]}"
    return None


def _range(value: str | None, shown: int) -> tuple[int | None, int | None, str | None]:
    """The first entry of a range, how many there are of all, and what of it cannot be."""
    if not value:
        return None, None, None
    found = _RANGE.fullmatch(value)
    if found is None or (found[1] or "").lower() in ("byte", "bytes"):
        return None, None, f"a range that cannot be read: {value[:40]}"
    total = None if found[4] == "*" else int(found[4])
    if found[2] is None:
        return None, total, "a range of none" if shown else None
    held = int(found[3]) - int(found[2]) + 1
    # An empty list has no range that is right: 0-0/0 is what some write.
    if held != shown and not (shown == 0 and total == 0):
        return None, total, f"a range of {held} entries, and {shown} of them"
    return int(found[2]), total, None


def _count(said: Mapping[str, str], names: re.Pattern[str]) -> int | None:
    """The largest number under one of these names; -1 for what is none."""
    values = [value for name, value in said.items() if value and names.fullmatch(name)]
    return max((int(value) if re.fullmatch("[0-9]{1,9}", value) else -1 for value in values), default=None)


def _any(said: Mapping[str, str], names: re.Pattern[str]) -> bool:
    return any(value.lower() not in _NO for name, value in said.items() if names.fullmatch(name))


def _relations(link: str) -> set[str]:
    return {word.lower() for found in _RELATIONS.findall(link) for word in "".join(found).split()}
