"""Papers that a provider wants for a country's numbers: an address, a bundle, a verified identity.

One shape for all kinds, per country and number type, the type's own first:

    bundles = { DE = "BU...", "DE/mobile" = "BU..." }
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import phonenumbers
from phonenumbers import PhoneNumberType
from pydantic import AfterValidator, Field

from schemas.numbering.regions import known_country, region_of

_TYPES = {
    PhoneNumberType.FIXED_LINE: "local",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "local",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.TOLL_FREE: "tollfree",
}
_NATIONAL = "national"
TYPES = (*dict.fromkeys(_TYPES.values()), _NATIONAL)
"""What a number may be, by libphonenumber's ranges; all that is none of the others is national."""


def _where(text: str) -> str:
    country, slash, kind = text.partition("/")
    if not known_country(country) or (slash and kind not in TYPES):
        raise ValueError(f"{text!r} must be a country like DE, or one of its types: DE/{', DE/'.join(TYPES)}")
    return text


Where = Annotated[str, AfterValidator(_where)]
"""A country (ISO 3166-1 alpha-2), or a type of its numbers: DE/mobile."""

Papers = dict[Where, Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")]]
"""A provider's id of a paper, by where it is wanted."""


def paper_for(papers: Mapping[str, str], number: str) -> str | None:
    """The paper for *number* (E.164 with the plus), None where none is configured."""
    country, kind = region_of(number), number_type(number)
    return papers.get(f"{country}/{kind}", papers.get(country or ""))


def number_type(number: str) -> str:
    """One of TYPES."""
    return _TYPES.get(phonenumbers.number_type(phonenumbers.parse(number, None)), _NATIONAL)


def papers_mend(field: str, number: str) -> str:
    """What to do where *number* lacks the paper that *field* of a provider's table names."""
    country = region_of(number) or "its country"
    where = f'{field}.{country} or {field}."{country}/{number_type(number)}"'
    return f"set {where} in the provider's table of providers.toml, then dialstock purchase resolve {number} --retry"
