"""Which country a number is of, as libphonenumber tells it."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

NANP = re.compile(r"[2-9][0-9]{2}[2-9][0-9]{6}")
"""A national number of +1."""


def region_of(number: str) -> str | None:
    """Return the ISO 3166-1 alpha-2 country of an E.164 number, None for a shared or unknown code.

    Where several countries share the code, and none is told by the number, it is the largest of them.
    """
    told = told_region(number)
    if told is not None:
        return told
    code = phonenumbers.parse(number, None).country_code or 0
    return _country_or_none(phonenumbers.region_code_for_country_code(code))


def told_region(number: str) -> str | None:
    """As `region_of`, but only what the number tells: None for a range that none of the countries of a code has."""
    if NANP.fullmatch(number, 2) and number.startswith("+1"):
        return _region_of_area(number[2:5])
    return _country_or_none(phonenumbers.region_code_for_number(phonenumbers.parse(number, None)))


def may_be_of(number: str, country: str) -> bool:
    """Whether an E.164 number may be of *country*: not where its code, or what it tells beside that, is another's."""
    parsed = phonenumbers.parse(number, None)
    sharing = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(parsed.country_code or 0, ())
    if country not in sharing or len(sharing) == 1:
        return country in sharing
    # Of 800 and the like all have a share.
    return told_region(number) in (None, country) or phonenumbers.is_valid_number_for_region(parsed, country)


def _country_or_none(region: str | None) -> str | None:
    return None if region in (None, "ZZ", "001") else region


@lru_cache(maxsize=1000)
def _region_of_area(area: str) -> str | None:
    """In +1 an area code is of one country; asking libphonenumber for each number takes longer than all the rest."""
    return phonenumbers.region_code_for_number(phonenumbers.parse(f"+1{area}2345678", None))


def known_country(code: str) -> bool:
    """Whether libphonenumber knows this ISO 3166-1 alpha-2 code."""
    return code in phonenumbers.SUPPORTED_REGIONS
