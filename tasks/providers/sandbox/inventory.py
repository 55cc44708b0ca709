"""What is for sale: every possible number, or the stock that a test laid out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from uuid import NAMESPACE_OID, uuid5

import phonenumbers
from phonenumbers import ValidationResult

from schemas.numbering.regions import known_country, region_of

# A search with a filter looks at this many candidates and no more.
MAX_CANDIDATES = 20_000


class Inventory:
    """The numbers for sale, by kind, and the stock item ids that Bird's searches have shown."""

    def __init__(self) -> None:
        self._stock: dict[str, dict[str, None]] = {}
        self._items: dict[str, str] = {}

    def restrict(self, kind: str, numbers: Iterable[str] | None) -> None:
        """Sell only *numbers* (E.164 with the plus); None sells every possible number again."""
        if numbers is None:
            self._stock.pop(kind, None)
        else:
            self._stock[kind] = dict.fromkeys(numbers)

    def clear(self) -> None:
        """Sell everything, and forget every search."""
        self._stock.clear()
        self._items.clear()

    def sells(self, kind: str, number: str) -> bool:
        """Whether *number* can be bought."""
        return kind not in self._stock or number in self._stock[kind]

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
