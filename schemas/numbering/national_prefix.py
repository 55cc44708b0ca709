"""Countries and national prefixes as people write them: which ones can be a number's."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationInfo


def check_country(value: str) -> str:
    """The ISO 3166-1 alpha-2 code *value*. Raises ValueError for what is none."""
    from schemas.numbering.regions import known_country  # noqa: PLC0415 - phonenumbers is slow to import

    if not known_country(value):
        hint = f"did you mean {value.upper()!r}?" if known_country(value.upper()) else "write it like US"
        raise ValueError(f"{value!r} is no ISO 3166-1 code of two capital letters: {hint}")
    return value


def check_prefix(value: str, country: str | None) -> str:
    """The beginning of national numbers *value*, '' for any. Raises ValueError where no number of *country* has it."""
    if not re.fullmatch(r"[0-9]*", value):
        raise ValueError(f"{value!r} must be digits alone, as the national number begins: like 415")
    if value and country and (problem := contradiction(country, value)):
        raise ValueError(f"{value!r} {problem}")
    return value


def _of_its_country(value: str, info: ValidationInfo) -> str:
    return check_prefix(value, info.data.get("country"))


Country = Annotated[str, AfterValidator(check_country)]
NationalPrefix = Annotated[str, AfterValidator(_of_its_country)]
"""In a model whose field `country` stands before it."""


# How the national numbers begin that have a 0 of their own, where 0 is also dialled before all others.
_OWN_ZERO = {
    "BG": "00800",
    "ID": "00",
    "IN": "000800",
    "JP": "00",
    "KR": "00",
    "RW": "06",
    "TH": "001800",
    "UY": "0004",
}


def contradiction(country: str, prefix: str) -> str | None:
    """Why no number of *country* can begin with *prefix*; None where one can, or where that is not sure."""
    from phonenumbers import PhoneMetadata  # noqa: PLC0415 - slow to import

    metadata: Any = PhoneMetadata.metadata_for_region(country)
    longest = max(metadata.general_desc.possible_length)
    if len(prefix) > longest:
        return f"is longer than a national number of {country}, which has {longest} digits at most"
    if metadata.country_code == 1 and prefix[0] in "01":
        return f"begins no number of {country}: {_area_code(country, prefix)}"
    if metadata.national_prefix == "0" == prefix[0] and not _may_begin(_OWN_ZERO.get(country), prefix):
        without = prefix.lstrip("0")
        mend = f"write {without!r}" if without else "leave it out"
        return f"begins with the 0 that is dialled inside {country} only: {mend}"
    return _elsewhere(country, prefix) if metadata.country_code == 1 and len(prefix) >= 3 else None


def _area_code(country: str, prefix: str) -> str:
    """What to write in place of a *prefix* that begins with what is dialled before an area code of +1."""
    without = prefix.lstrip("01")
    if not without or (len(without) >= 3 and _elsewhere(country, without)):
        return f"write an area code of {country}, which begins with 2 to 9"
    return f"write the area code without {prefix.removesuffix(without)}, like {without}"


def _may_begin(start: str | None, prefix: str) -> bool:
    return start is not None and (start.startswith(prefix) or prefix.startswith(start))


def _elsewhere(country: str, prefix: str) -> str | None:
    """Countries that share +1 share no area code, but for those without a place: numbers of 800 count as of the US."""
    import phonenumbers  # noqa: PLC0415 - slow

    number = phonenumbers.parse(f"+1{prefix}{'2345678'[len(prefix) - 3 :]}")
    owner = phonenumbers.region_code_for_number(number)
    if owner in (None, country):
        return None
    shared = phonenumbers.is_valid_number_for_region(number, country)
    what = (
        f"is shared by countries, and its numbers count as of {owner}" if shared else f"is of {owner}, not of {country}"
    )
    return f"{what}: write country = {owner!r}, or another prefix"


_IN_USE = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)


@lru_cache(maxsize=1000)
def unused(country: str, prefix: str) -> str | None:
    """Why no number of *country* begins with *prefix*, of those that libphonenumber knows to be in use; else None.

    Asked of what is wanted now, and of no row or pool: those go on when another release of it knows other ranges.
    """
    import phonenumbers  # noqa: PLC0415 - slow to import
    import regex  # noqa: PLC0415 - it alone can match a beginning

    metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region(country)
    ranges = [one.national_number_pattern for kind in _IN_USE if (one := getattr(metadata, kind)) is not None]
    if any(one and regex.fullmatch(one, prefix, partial=True) for one in ranges):
        return None
    newer = "for a range that was opened lately, install a newer phonenumberslite"
    return f"begins no number of {country} that is in use: mend it; {newer} than {phonenumbers.__version__}"
