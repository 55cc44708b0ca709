"""Numbers that a record names beside its own: under whatever key, however deep, and in any usual spelling.

A record that names our number in a key nobody documented may be ours, as much as another's. So it says of our number
neither that it is there nor that it is not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from schemas.numbers import digits_only, national_digits

_FEWEST_DIGITS = 7
# A plus or a comma begins another number.
_SPELT = re.compile(rf"\d(?:[\s()\[\]./_\-\u2010-\u2015\u2212\u00b7]*\d){{{_FEWEST_DIGITS - 1},}}")


class Mentions:
    """Which of *numbers* (E.164 with the plus) a record mentions.

    A text mentions a number whose national digits stand in it, with or without country code, trunk zero, `tel:` or
    separators. A national number that is shorter than 7 digits is looked for with its country code: it may well stand
    in an id by chance.
    """

    def __init__(self, numbers: Collection[str]) -> None:
        self._wanted: defaultdict[str, list[str]] = defaultdict(list)
        for number in numbers:
            self._wanted[_essence(number)].append(number)
        self._lengths = {len(digits) for digits in self._wanted}

    def within(self, record: Any, own: str) -> Iterator[str]:
        """The numbers that *record* names, beside its *own* in any of its spellings."""
        for text in _texts(record):
            for spelt in _SPELT.findall(text):
                digits = "".join(str(int(char)) for char in spelt if char.isdecimal())
                found = [number for part in self._parts(digits) for number in self._wanted[part] if number != own]
                if found and digits not in _spellings(own):
                    yield from found

    def _parts(self, digits: str) -> Iterator[str]:
        for length in self._lengths:
            parts = {digits[start : start + length] for start in range(len(digits) - length + 1)}
            yield from parts & self._wanted.keys()


def _essence(number: str) -> str:
    national = national_digits(number)
    return national if len(national) >= _FEWEST_DIGITS else digits_only(number)


def _spellings(number: str) -> set[str]:
    """The digits in which a number is written."""
    digits, national = digits_only(number), national_digits(number)
    return {digits, f"00{digits}", f"011{digits}", national, f"0{national}"}


def _texts(value: Any) -> Iterator[str]:
    """All texts and numbers of a JSON value, keys too; not by recursion, for its depth is the sender's choice."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str | int | float):
            yield str(one)
