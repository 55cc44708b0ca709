"""Numbers that a record names beside its own: under whatever key, however deep, and in any usual spelling.

A record that names our number in a key nobody documented may be ours, as much as another's. So it says of our number
neither that it is there nor that it is not.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import unquote

from schemas.numbering.numbers import digits_only, national_digits
from schemas.numbering.spelling import visible

_FEWEST_DIGITS = 7
_BETWEEN = r"[\s()\[\]./_\-\u2010-\u2015\u2212\u00b7]*"
# A plus or a comma begins another number; other marks stand between two digits alone.
_SPELT = rf"\d(?:(?:[:;~'*|\u2022]|{_BETWEEN}+)\d){{{_FEWEST_DIGITS - 1},}}"

# ISO 8601 and RFC 3339, also with blanks. In the basic form the time has to be there: eight digits are a number.
_ZONE = r"(?:\s?(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)){0,2}"
_TIME = rf"(?:[Tt]|\s{{1,3}})(?:[01]\d|2[0-4]):[0-5]\d(?::[0-6]\d(?:[.,]\d{{1,9}})?)?{_ZONE}"
_DAY = r"(?:19|20)\d\d{0}(?:0[1-9]|1[0-2]){0}(?:0[1-9]|[12]\d|3[01])"
_BASIC = rf"{_DAY.format('')}[Tt](?:[01]\d|2[0-4])[0-5]\d(?:[0-6]\d(?:[.,]\d{{1,9}})?)?{_ZONE}"
_MOMENT = rf"(?:(?:{_DAY.format('-')}|{_DAY.format('/')})(?:{_TIME})?|{_BASIC})"
# Where a digit, or a plus before, stands beside it, all of it may be a number.
_MOMENTS = rf"(?<![+])(?<![+]\s){_MOMENT}(?:{_BETWEEN}{_MOMENT})*(?!{_BETWEEN}\d)"

_CLOCK = r"(?<![\d:+])(?:[01]\d|2[0-4]):[0-5]\d:[0-6]\d(?:[.,]\d{1,9})?(?![\d:])"

_HEX = "[0-9A-Fa-f]"
_UUID = rf"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"
# The lengths of object ids and digests; without a letter it may be a number.
_DIGEST = rf"(?=\d{{0,63}}[A-Fa-f])(?:{_HEX}{{8}}){{2,8}}"
_ID = rf"(?<![^\W_])(?:[A-Z]{{2}})?(?:{_UUID}|{_DIGEST})(?![^\W_])"

_PART = re.compile(f"{_ID}|{_MOMENTS}|{_CLOCK}|(?P<number>{_SPELT})")
# RFC 6116, 3.2: digit by digit from the last
_ENUM = re.compile(r"(?<![\d.])(?:\d\.){7,15}(?=e164\.arpa)", re.IGNORECASE)
_FRAMES = re.compile("[\u20d0-\u20ff]")
"""What is drawn around a character: keycaps."""
_SHORT_PART = re.compile(r"\s*\+?\d{1,9}\s*")


class Mentions:
    """Which of *numbers* (E.164 with the plus) a record mentions.

    A text mentions a number whose national digits stand in it, with or without country code, trunk zero, `tel:` or
    separators, also as an address or HTML writes them, part by part in a list, or as ENUM does (e164.arpa). A national
    number that is shorter than 7 digits is looked for with its country code: it may well stand in an id by chance. A
    date, a time, a UUID or another hexadecimal id mentions none, wherever it stands.
    """

    def __init__(self, numbers: Collection[str]) -> None:
        self._wanted: defaultdict[str, list[str]] = defaultdict(list)
        for number in numbers:
            self._wanted[_essence(number)].append(number)
        self._lengths = {len(digits) for digits in self._wanted}

    def within(self, record: Any, own: str) -> Iterator[str]:
        """The numbers that *record* names, beside its *own* in any of its spellings."""
        for text in map(_plain, _texts(record)):
            for spelt in filter(None, (part["number"] for part in _PART.finditer(text))):
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
            if len(one) > 1 and all(isinstance(part, str | int) and _SHORT_PART.fullmatch(str(part)) for part in one):
                yield " ".join(map(str, one)).replace("+", "")
        elif isinstance(one, str | int | float):
            yield str(one)


def _plain(text: str) -> str:
    """*text* as it is meant to be seen: as a person reads what was written for an address, for HTML, or in signs."""
    if "%" in text:
        text = unquote(text)
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = _FRAMES.sub("", visible(unicodedata.normalize("NFKC", text)))
    return _ENUM.sub(lambda found: found[0].replace(".", "")[::-1], text) if "164" in text else text
