"""From a row of any format to a purchase: each field checked, and the row against all rows before it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.config.kinds import Kind
from schemas.metadata import Metadata
from schemas.numbering.numbers import NumberError, read_number
from schemas.numbering.regions import known_country, may_be_of, region_of
from schemas.numbering.spelling import quoted, visible
from schemas.requests import Alias, BuyNumber, Key, RequestError, check_provider, problems_of
from tasks.orderfile.objects import Exponential
from tasks.orderfile.values import Line, Problem, Row
from tasks.orderfile.wishes import Take, WishChecker

_MAX_SHOWN = 60
_NO_COUNTRY = (
    "is no country: write two letters of ISO 3166-1, like US or GB; a column that is not to be read is metadata.NAME"
)


class _Extras(BaseModel):
    """A purchase without its number, which is read as people spell it: to validate it again takes the most time."""

    model_config = ConfigDict(extra="forbid")

    provider: Alias
    idempotency_key: Key | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    metadata: Metadata = Field(default_factory=dict)


class Checker:
    """Checks the rows of one file. Remembers their numbers and keys, about 220 bytes a row."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        default_provider: str | None,
        country: str | None,
        on_wish: Take | None = None,
    ) -> None:
        self._kinds = kinds
        self._default_provider = default_provider
        self._country = country
        self._wishes = WishChecker(kinds, default_provider, country, on_wish)
        self._first: Row | None = None
        self._firsts: dict[str, tuple[int, str]] = {}
        """The line and the provider with which each number came first."""
        self._others: dict[tuple[str, str], int] = {}
        """The lines of numbers that came again, with another provider."""
        self._keys: dict[str, int] = {}

    def check(self, row: Row) -> Iterator[Line | Problem]:
        """The purchase, or every problem of the row; what has a count is handed on."""
        first = self._first = self._first or row
        if row.wish is not first.wish:
            kinds = ("names a number", "has a count")
            both = f"{kinds[row.wish]}, and line {first.line} {kinds[first.wish]}: put them into two files"
            yield Problem(row.line, "count" if row.wish else "number", both)
        elif row.wish:
            yield from self._wishes.check(row)
        else:
            yield from self._purchase(row)

    def _purchase(self, row: Row) -> Iterator[Line | Problem]:
        problems: list[Problem] = []
        number = self._number(row, problems)
        request = self._request(row, number, problems)
        if request is not None and not problems:
            problems = [*self._repeated(row.line, request)]
        if problems or request is None:
            yield from problems
        else:
            if request.idempotency_key is not None:
                self._keys[request.idempotency_key] = row.line
            yield Line(row.line, request, self._first_line(row.line, request))

    def _first_line(self, line: int, request: BuyNumber) -> int | None:
        """Where the number came before, with another provider; remembers where it comes now."""
        # A million rows name few providers, each time as a text of its own.
        here = line, sys.intern(request.provider)
        first = self._firsts.setdefault(request.number, here)
        if first is here:
            return None
        self._others[request.number, here[1]] = line
        return first[0]

    def _number(self, row: Row, problems: list[Problem]) -> str:
        """The number, of the row's own country where it names one; '' where it cannot be read."""
        own = _shown(row.fields.get("country", ""))
        country = own.upper()
        # what is no letter of ISO 3166-1 may have two of them as capitals: the German sharp s
        if own and not (own.isascii() and known_country(country)):
            return self._number_alone(row, own, problems)
        try:
            number = read_number(_spelled(row.fields.get("number", "")), country or self._country)
        except NumberError as exc:
            mend = f" (the row's country is {country}: mend that too if it is wrong)" if own else ""
            problems.append(Problem(row.line, "number", f"{exc}{mend}"))
            return ""
        if own and not may_be_of(number, country):
            other = f"is {country}, and {quoted(number)} is of {region_of(number) or 'no country'}"
            problems.append(Problem(row.line, "country", f"{other}: mend the one that is wrong, or empty this cell"))
        return number

    def _number_alone(self, row: Row, own: str, problems: list[Problem]) -> str:
        """The number where it needs no country, for its cell's *own* text is none that is known: a name, or a code."""
        if isinstance(row.fields["country"], str):
            with suppress(NumberError):
                return read_number(_spelled(row.fields.get("number", "")), None)
        problems.append(Problem(row.line, "country", f"{quoted(own, _MAX_SHOWN)} {_NO_COUNTRY}"))
        return ""

    def _request(self, row: Row, number: str, problems: list[Problem]) -> BuyNumber | None:
        provider = row.fields.get("provider", "")
        if isinstance(provider, str):
            provider = visible(provider) or self._default_provider
        if provider is None:
            problems.append(Problem(row.line, "provider", "is missing: name it, or one provider for the whole file"))
            return None
        given = {**_grouped(row.fields), "provider": provider}
        try:
            extras = _Extras.model_validate(given)
            return check_provider(BuyNumber.model_construct(number=number, **extras.__dict__), self._kinds)
        except ValidationError as exc:
            found = problems_of(exc, _Extras)
        except RequestError as exc:
            found = exc.problems
        problems += [Problem(row.line, column, message) for column, message in found]
        return None

    def _repeated(self, line: int, request: BuyNumber) -> Iterator[Problem]:
        before, provider = self._firsts.get(request.number, (0, ""))
        if provider != request.provider:
            before = self._others.get((request.number, request.provider), 0)
        if before:
            yield Problem(line, "number", f"is line {before} again, {request.number}: remove one of them")
        elif first := self._keys.get(request.idempotency_key or ""):
            yield Problem(line, "idempotency_key", f"is the key of line {first} already: a key is for one purchase")


def _spelled(value: Any) -> str:
    """The number as text; spreadsheets and their exporters write it as a JSON number."""
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or value != value // 1 or not 0 < value < 10**15:
        raise NumberError(str(value), "is not a phone number: write it as text, like +14155550100")
    if isinstance(value, Exponential):
        raise NumberError(
            str(value), "may have been rounded, as a number with an exponent: write it as text, in digits"
        )
    return str(int(value))


def _shown(value: Any) -> str:
    return visible(value) if isinstance(value, str) else str(value)


def _grouped(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with `options.NAME` and `metadata.NAME` in one mapping each; without the number and its country."""
    grouped: dict[str, Any] = {}
    for name, value in fields.items():
        group, dot, rest = name.partition(".")
        if dot:
            grouped.setdefault(group, {})[rest] = value
        elif name not in ("number", "country"):
            grouped[name] = value
    return grouped
