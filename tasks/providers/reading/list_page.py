"""Reading lists of owned numbers: what of a page is as the provider documents it, and what is not.

A page is read by its documented shape. What is not of it does not hide the rest, for a number that is shown is
evidence all the same; but the page is then not whole, and nobody learns from it that a number is not there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from schemas.outcomes import LookKind, Outcome
from tasks.providers.adapter import ProviderError
from tasks.providers.reading.claims import Claims, read_claims
from tasks.providers.reading.filters import Filter
from tasks.providers.transport.answers import e164, fields
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session

NUMBER_KEYS = ("number", "numberString", "phone_number", "phoneNumber", "e164")
"""Where providers write an entry's number. One entry that names two numbers cannot be read."""

_NOTHING: tuple[Any, ...] = (None, "", [], {})
_FEWEST_DIGITS = 4
_MASK = re.compile(r"[xX_]{3}|[#?]{2}|[\u2022\u25cf\u2026]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One owned number: E.164 with the plus, the provider's id where it has one, and what state it is in.

    `number` is empty where the entry is passed over as none. `rest` is what its record says beside the number, and the
    digits of a name that is passed over.
    """

    number: str
    provider_number_id: str | None = None
    kind: LookKind = LookKind.OWNED
    rest: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Page:
    """The entries of one page that could be read, and what leads to the next, None at the end.

    `unread` is set where anything of the page could not be read; `total` is how many entries the list has, `about` how
    many by an estimate. `claims` is what its headers say of it.
    """

    entries: list[Entry]
    following: str | None = None
    unread: Outcome | None = None
    total: int | None = None
    about: int | None = None
    claims: Claims = field(default=Claims(), compare=False)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """How a provider documents its list of owned numbers.

    `entries` is the list's key, `needs` are those always beside it, `may` those that may stand there, `echoes` those of
    them that repeat a parameter of the question; `strange` tells what is wrong inside of those, None where nothing is.
    In an entry, `number` and `ids` are keys, `kind` tells its state, and `passed_over` is true of what is documented as
    no number: it is passed over where its name is none. `bare` is true where numbers are documented as digits with the
    country code, without the plus. Of `others` it is documented that they may name other numbers
    than the entry's own: those say nothing.

    `filters` are the parameters that narrow the list, as documented, and `of` what each of its entries says of whose it
    is: an entry that was not asked for makes it the answer to another question.
    """

    entries: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    echoes: tuple[str, ...] = ()
    strange: Callable[[Answer], str | None] = lambda _: None
    number: str = "number"
    bare: bool = False
    ids: tuple[str, ...] = ("id",)
    kind: Callable[[Mapping[str, Any]], LookKind] = lambda _: LookKind.OWNED
    passed_over: Callable[[Mapping[str, Any]], bool] = lambda _: False
    others: tuple[str, ...] = ()
    filters: Mapping[str, Filter] = field(default_factory=dict)
    of: Mapping[str, str] = field(default_factory=dict)

    def page(self, session: Session, answer: Answer, following: str | None) -> Page:
        """Read one page. Raises ProviderError where there is no list in it."""
        body = fields(answer.body)
        listed = body.get(self.entries)
        if answer.status != 200 or not isinstance(listed, list):
            raise ProviderError(session.unsettled(answer, "unreadable_answer", "no list as documented"))
        records = [fields(value) for value in listed]
        wrong = answer.flaw or next(chain(self._wrong(answer, body), self._strange_entries(answer, records)), None)
        entries = [entry for record in records if (entry := self.entry(session, record))]
        said = {"about" if body.get("total_is_estimated") else "total": _count(body.get("total"))}
        return Page(
            entries=entries,
            following=following,
            unread=session.unsettled(answer, "unreadable_list", wrong) if wrong else None,
            claims=read_claims(answer.headers, len(records)),
            **(said if "total" in self.may else {}),
        )

    def entry(self, session: Session, record: Mapping[str, Any]) -> Entry | None:
        """The owned number that a record shows; None where it shows none."""
        number = "" if self._is_no_number(record) else e164(record.get(self.number))
        if number is None:
            return None
        known = (session.identify(record.get(key)) for key in self.ids)
        rest = {key: value for key, value in record.items() if key != self.number and key not in self.others}
        if not number:
            # It may be the digits of one: whoever looks for that one asks.
            rest[self.number] = _digits(record[self.number])
        return Entry(number, next(filter(None, known), None), self.kind(record), rest)

    def _wrong(self, answer: Answer, body: Mapping[str, Any]) -> Iterator[str]:
        """What of an envelope is not as documented. A foreign key that holds nothing says nothing."""
        documented = {self.entries, *self.needs, *self.may}
        yield from (f"no {key!r} beside its list" for key in self.needs if key not in body)
        yield from (f"{key!r} beside its list" for key in body if key not in documented and body[key] not in _NOTHING)
        if "total" in self.may and body.get("total") is not None and _count(body["total"]) is None:
            yield "a total that is no count"
        if "total" in self.may and body.get("total_is_estimated") not in (None, True, False):
            yield "a total that is estimated, or not"
        yield from (f"another {key} than was asked for" for key in self.echoes if _differs(body.get(key), answer, key))
        if (strange := self.strange(answer)) is not None:
            yield strange

    def _strange_entries(self, answer: Answer, records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        yield from filter(None, map(self._unread, records))
        for record in records:
            yield from (f"an entry of another {key}" for key, value in self.of.items() if record.get(key) != value)
            for name in self.filters.keys() & answer.params.keys():
                if not self.filters[name].lets_through(answer.params[name], record):
                    yield f"an entry that {name} does not let through: {record.get(self.number)}"

    def _is_no_number(self, record: Mapping[str, Any]) -> bool:
        """Whether an entry is documented as none, and its name hides none: behind no plus and behind no mask."""
        name = record.get(self.number)
        if not self.passed_over(record) or not isinstance(name, str) or not name.strip() or "+" in name or "*" in name:
            return False
        others = (record.get(key) for key in NUMBER_KEYS if key != self.number)
        masked = len(_digits(name)) >= _FEWEST_DIGITS and _MASK.search(name)
        return not masked and all(other is None for other in others)

    def _unread(self, record: Mapping[str, Any]) -> str | None:
        """Why an entry cannot be read; None where it can, or is passed over.

        Only with its plus is a number surely international, unless the page says so: a national one may be any
        country's, ours too.
        """
        if self._is_no_number(record):
            return None
        given = record.get(self.number)
        number = e164(given)
        if number is None or not isinstance(given, str) or not self._is_international(given.strip()):
            shown = given if isinstance(given, str | int) else type(given).__name__
            return f"an entry whose number cannot be read: {shown}"
        others = [record[key] for key in NUMBER_KEYS if record.get(key) is not None]
        if any(e164(other) != number for other in others):
            return f"an entry that names {number} and another number"
        return None

    def _is_international(self, given: str) -> bool:
        return given.startswith("+") or (self.bare and given.isdecimal())


def text_or_none(session: Session, answer: Answer, value: Any) -> str | None:
    """What leads to the next page; None where there is none. Raises ProviderError for what is no text."""
    if value is not None and not isinstance(value, str):
        raise ProviderError(session.unsettled(answer, "unreadable_answer", "a next page that is no text"))
    return value or None


def _digits(name: str) -> str:
    return "".join(str(unicodedata.digit(char)) for char in name if char.isdigit())


def _differs(said: Any, answer: Answer, key: str) -> bool:
    asked = answer.params.get(key)
    return asked is not None and said is not None and (isinstance(said, bool) or said != asked)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
