"""What is for sale: every possible number, or the stock that a test laid out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple
from uuid import NAMESPACE_OID, uuid4, uuid5

import phonenumbers
from phonenumbers import ValidationResult

from schemas.numbering.regions import known_country, region_of

# A search with a filter looks at this many candidates and no more.
MAX_CANDIDATES = 20_000


class Held(NamedTuple):
    """A number that is kept for an account, until a time.monotonic()."""

    id: str
    account: str
    number: str
    until: float


class Inventory:
    """The numbers for sale, by kind, what is kept for whom, and the stock item ids that Bird's searches have shown."""

    def __init__(self) -> None:
        self._stock: dict[str, dict[str, None]] = {}
        self._items: dict[str, str] = {}
        self._held: dict[tuple[str, str], Held] = {}

    def restrict(self, kind: str, numbers: Iterable[str] | None) -> None:
        """Sell only *numbers* (E.164 with the plus); None sells every possible number again."""
        if numbers is None:
            self._stock.pop(kind, None)
        else:
            self._stock[kind] = dict.fromkeys(numbers)

    def clear(self) -> None:
        """Sell everything, keep nothing for anybody, and forget every search."""
        self._stock.clear()
        self._items.clear()
        self._held.clear()

    def sells(self, kind: str, number: str) -> bool:
        """Whether *number* can be bought."""
        return kind not in self._stock or number in self._stock[kind]

    def hold(self, kind: str, account: str, number: str, seconds: float) -> Held:
        """Keep *number* for *account*, under an id of its own."""
        held = self._held[kind, number] = Held(str(uuid4()), account, number, time.monotonic() + seconds)
        return held

    def let_go(self, kind: str, number: str) -> None:
        """Keep *number* no longer."""
        self._held.pop((kind, number), None)

    def held(self, kind: str, number: str) -> Held | None:
        """For whom *number* is kept now."""
        held = self._held.get((kind, number))
        return held if held is not None and time.monotonic() < held.until else None

    def held_as(self, kind: str, hold_id: str) -> Held | None:
        """What is kept under an id, and for whom."""
        return next((self.held(*key) for key, one in self._held.items() if key[0] == kind and one.id == hold_id), None)

    def candidates(self, kind: str, country: str, prefix: str) -> Iterator[str]:
        """Numbers for sale in *country* (ISO 3166-1 alpha-2) whose national digits begin with *prefix*."""
        if not known_country(country):
            return iter(())
        if kind in self._stock:
            start = f"+{phonenumbers.country_code_for_region(country)}{prefix}"
            return (n for n in list(self._stock[kind]) if n.startswith(start) and region_of(n) == country)
        return islice(_generate(country, prefix), MAX_CANDIDATES)

    def show(self, number: str) -> str:
        """The stock item id of *number*, which can be bought from now on."""
        item = str(uuid5(NAMESPACE_OID, number))
        self._items[item] = number
        return item

    def was_shown(self, number: str) -> bool:
        """Whether a search has shown *number*."""
        return str(uuid5(NAMESPACE_OID, number)) in self._items

    def shown(self, item: str) -> str | None:
        """The number of a stock item id, None where no search has shown it."""
        return self._items.get(item.lower())


def is_possible(number: str) -> bool:
    """Whether *number* (E.164 with the plus) is a whole number, as libphonenumber sees it."""
    parsed = phonenumbers.parse(number, None)
    return phonenumbers.is_possible_number_with_reason(parsed) == ValidationResult.IS_POSSIBLE


def _generate(country: str, prefix: str) -> Iterator[str]:
    sample = phonenumbers.example_number(country) or phonenumbers.PhoneNumber()
    example, code = phonenumbers.national_significant_number(sample), sample.country_code
    prefix = prefix or example[:3]
    whole = [f"+{code}{prefix}"] if len(prefix) > 3 and is_possible(f"+{code}{prefix}") else []
    fill = len(example) - len(prefix)
    if fill <= 0:
        return iter(whole)
    first = 5 * 10 ** (fill - 1)
    return chain(whole, (f"+{code}{prefix}{tail:0{fill}d}" for tail in range(first, 10**fill)))
