"""Rows with a count in place of a number: so many numbers by criteria, which are found when they are bought."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.by_criteria.criteria import Criteria
from schemas.by_criteria.wishes import MAX_COUNT, MAX_WISHES, Wish, check_wishes
from schemas.config.kinds import Kind
from schemas.metadata import Metadata
from schemas.numbering.spelling import visible
from schemas.requests import RequestError, problems_of
from tasks.orderfile.values import Problem, Row

Take = Callable[[int, Wish], None]

_METADATA: TypeAdapter[dict[str, Any]] = TypeAdapter(Metadata)
_TEXTS = ("country", "prefix", "type", "contains", "max_price")


class WishChecker:
    """Checks the rows of one file that have a count, and hands each wish to *take* with its line."""

    def __init__(
        self, kinds: Mapping[str, Kind], default_provider: str | None, country: str | None, take: Take | None
    ) -> None:
        self._kinds = kinds
        self._default_provider = default_provider
        self._country = country
        self._take = take
        self._lines: dict[str, int] = {}

    def check(self, row: Row) -> Iterator[Problem]:
        """Every problem of the row; none where its wish was taken."""
        if self._take is None:
            yield Problem(row.line, "count", "is for `dialstock order submit`: here each row names a number")
            return
        found = self._read(row)
        if isinstance(found, Wish):
            if (first := self._lines.setdefault(found.fingerprint, row.line)) != row.line:
                yield Problem(row.line, "count", f"is line {first} again: put them together, with one count")
                return
            if len(self._lines) > MAX_WISHES:
                yield Problem(row.line, None, f"is more than {MAX_WISHES:,} rows with a count: split the file")
                return
            self._take(row.line, found)
        else:
            yield from found

    def _read(self, row: Row) -> Wish | list[Problem]:
        count, at_least = _whole(row.fields.get("count")), _whole(row.fields.get("at_least", 1))
        if count is None:
            return [Problem(row.line, "count", f"must be a whole number from 1 to {MAX_COUNT:,}")]
        if at_least is None or at_least > count:
            return [Problem(row.line, "at_least", f"must be a whole number from 1 to the count, {count}")]
        try:
            criteria = Criteria.model_validate(self._criteria(row.fields))
            metadata = _METADATA.validate_python(_metadata(row.fields))
        except ValidationError as exc:
            return [Problem(row.line, column or "metadata", message) for column, message in problems_of(exc, Criteria)]
        wish = Wish(count=count, criteria=criteria, at_least=at_least, metadata=metadata)
        try:
            check_wishes([wish], self._kinds)
        except RequestError as exc:
            return [Problem(row.line, "provider" if name == "providers" else name, told) for name, told in exc.problems]
        return wish

    def _criteria(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        said = {name: _text(fields[name]) for name in _TEXTS if name in fields}
        provider = _text(fields.get("provider", "")) or self._default_provider
        features = [one for one in _text(fields.get("features", "")).replace(",", " ").split() if one]
        country = {"country": said["country"].upper() if "country" in said else self._country or "US"}
        return {**said, **country, "providers": [provider] if provider else [], "features": features}


def _text(value: Any) -> str:
    """A cell as text; spreadsheets and JSON write a prefix as a number."""
    return visible(value) if isinstance(value, str) else str(value)


def _whole(value: Any) -> int | None:
    """A whole number from 1 to MAX_COUNT; None for what is none."""
    text = _text(value)
    right = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_COUNT)) and not isinstance(value, bool)
    return int(text) if right and 1 <= int(text) <= MAX_COUNT else None


def _metadata(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("metadata."): value for name, value in fields.items() if name.startswith("metadata.")}
