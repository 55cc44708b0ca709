"""Which numbers are wanted, where nobody names them: what a pool is filled with, and what an order by criteria buys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from schemas.by_criteria.preference import Preference
from schemas.money import MostMoney
from schemas.numbering.national_prefix import Country, NationalPrefix

NumberType = Literal["local", "mobile", "toll-free"]
Feature = Literal["voice", "sms", "mms"]
Criterion = Literal["type", "features", "contains"]
"""What only some providers' searches can be asked for."""

LONGEST = 15
"""Digits of E.164."""


class Criteria(BaseModel):
    """Numbers of `country` whose national number begins with `prefix`; each further field leaves some of them out.

    providers: aliases, the preferred one first. prefer: 'cheapest' takes them by their price a month instead, in one
    currency. max_price: a month. contains: digits that stand in the national number. exclude: numbers in E.164.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    country: Country = "US"
    prefix: NationalPrefix = ""
    type: NumberType | None = None
    features: tuple[Feature, ...] = ()
    contains: str = Field(default="", description="digits that stand in the national number")
    providers: Preference = ()
    prefer: Literal["cheapest"] | None = None
    max_price: MostMoney | None = Field(default=None, description="a month")
    exclude: frozenset[str] = frozenset()

    @field_validator("type")
    @classmethod
    def _of_the_prefix(cls, value: NumberType | None, info: ValidationInfo) -> NumberType | None:
        country, prefix = info.data.get("country"), info.data.get("prefix", "")
        told = _type_of(country, prefix) if value and country and len(prefix) == 3 else None
        if told and (value == "toll-free") is not (told == "toll-free"):
            raise ValueError(f"{value!r} contradicts the prefix {prefix}, whose numbers are {told}: leave one out")
        return value

    @field_validator("features")
    @classmethod
    def _sorted(cls, value: tuple[Feature, ...]) -> tuple[Feature, ...]:
        return tuple(sorted(set(value)))

    @field_validator("contains")
    @classmethod
    def _digits(cls, value: str) -> str:
        if value and not (value.isascii() and value.isdigit() and len(value) <= LONGEST):
            raise ValueError(f"{value!r} must be at most {LONGEST} digits that stand in the number, like 555")
        return value

    @property
    def asked(self) -> Iterator[Criterion]:
        """The criteria among them that not every search can be asked for."""
        if self.type:
            yield "type"
        if self.features:
            yield "features"
        if self.contains:
            yield "contains"

    @property
    def by_price(self) -> bool:
        """Whether a number without a price is left out."""
        return self.max_price is not None or self.prefer == "cheapest"

    def __str__(self) -> str:
        words = [f"country {self.country}"]
        if self.prefix:
            words.append(f"prefix {self.prefix}")
        words += [
            f"{name} {', '.join([*self.features]) if name == 'features' else getattr(self, name)}"
            for name in self.asked
        ]
        return " and ".join(words)


def may_be(number: str, wanted: NumberType) -> bool:
    """Whether a number in E.164 can be of that type, as far as the number itself tells."""
    import phonenumbers  # noqa: PLC0415 - slow to import

    kinds: Any = phonenumbers.PhoneNumberType
    told = phonenumbers.number_type(phonenumbers.parse(number))
    if told == kinds.FIXED_LINE_OR_MOBILE:
        return wanted != "toll-free"
    names = {kinds.FIXED_LINE: "local", kinds.MOBILE: "mobile", kinds.TOLL_FREE: "toll-free"}
    return names.get(told, wanted) == wanted


def _type_of(country: str, area: str) -> str | None:
    """What the numbers of an area code of +1 are; None elsewhere, and where it is not sure."""
    import phonenumbers  # noqa: PLC0415 - slow to import

    if phonenumbers.country_code_for_region(country) != 1:
        return None
    told = phonenumbers.number_type(phonenumbers.parse(f"+1{area}2345678"))
    if told == phonenumbers.PhoneNumberType.TOLL_FREE:
        return "toll-free"
    return "local" if told == phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE else None
