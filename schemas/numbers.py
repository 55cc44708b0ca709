"""Phone numbers: read in any spelling, kept as E.164 with the plus.

A number must be *possible* in libphonenumber's sense (its country code exists and its length fits);
ranges opened last month are possible long before they are 'valid'.
"""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber

MAX_TEXT = 64

_E164 = re.compile(r"\+?[1-9][0-9]{6,14}")
_DECIMALS = re.compile(r"(\+?[0-9]{5,15})[.,]0+")
_LETTER = re.compile(r"[^\W\d_]")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SCIENTIFIC = re.compile(r"[0-9][.,]?[0-9]*[eE]\+?[0-9]+")


class NumberError(ValueError):
    """A text that cannot be read as one phone number; the message says how to mend it."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text[:MAX_TEXT]!r} {reason}")


def parse_e164(text: str) -> str:
    """Return *text*, an E.164 number with or without the plus, as E.164 with the plus.

    Raises NumberError for anything else, spelling with blanks or dashes included. Digits are never changed:
    a trunk prefix behind the country code (+44 0121...) is refused, for its E.164 would be another text.
    """
    text = text.strip()
    if not _E164.fullmatch(text):
        raise NumberError(text, "is not E.164: write a country code and digits, like +14155550100")
    given = f"+{text.removeprefix('+')}"
    number = _possible(text, given)
    if number != given:
        raise NumberError(text, f"is not E.164: perhaps {number} is meant")
    return number


def read_number(text: str, country: str | None = None) -> str:
    """Return a number as a person wrote it (blanks, dashes, tel:, 00 prefix) as E.164 with the plus.

    Without a plus it is read as a national number of *country* (ISO 3166-1 alpha-2) where that is possible,
    else as an international one. A bare number of ten digits or less that no country assigns is refused, for
    it is far more often a national number whose country code is missing than a new range. Letters are refused:
    a mistyped digit (O for 0) or a remark must not become another number.
    Raises NumberError.
    """
    text = _INVISIBLE.sub("", text).strip().lstrip("'").strip()
    _refuse_spreadsheet_damage(text)
    if damaged := _DECIMALS.fullmatch(text):
        text = damaged[1]
    bare = re.sub(r"^tel:\s*", "", text, flags=re.IGNORECASE)
    if bare.startswith("00"):
        bare = f"+{bare[2:]}"
    number = _read(text, bare, country)
    return number if text == number and _E164.fullmatch(text) else _settled(text, number)


def digits_only(number: str) -> str:
    """Return E.164 without the plus, as TimePay writes numbers."""
    return number.removeprefix("+")


def region_of(number: str) -> str | None:
    """Return the ISO 3166-1 alpha-2 country of an E.164 number, None for a shared or unknown code."""
    region = phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    if region is None:
        region = phonenumbers.region_code_for_country_code(phonenumbers.parse(number, None).country_code or 0)
    return None if region in (None, "ZZ", "001") else region


def known_country(code: str) -> bool:
    """Whether libphonenumber knows this ISO 3166-1 alpha-2 code."""
    return code in phonenumbers.SUPPORTED_REGIONS


def _read(text: str, bare: str, country: str | None) -> str:
    if "+" in bare or "\N{FULLWIDTH PLUS SIGN}" in bare:
        return _possible(text, bare)
    if country is not None and (number := _national(bare, country)) is not None:
        return number
    return _without_plus(text, bare)


def _settled(text: str, number: str) -> str:
    """libphonenumber may take a prefix off what is none; a number that it would cut again is not one."""
    try:
        return parse_e164(number)
    except NumberError as exc:
        raise NumberError(text, "is not one phone number: write it as E.164, like +14155550100") from exc


def _without_plus(text: str, bare: str) -> str:
    digits = re.sub(r"\D", "", bare)
    if len(digits) < 5:
        raise NumberError(text, "is not a phone number")
    parsed = _parse(f"+{bare}", None)
    _refuse_words(text, bare, parsed)
    if parsed is None or not phonenumbers.is_possible_number(parsed):
        raise NumberError(text, "has no country code: write +, the code and the number, or name the country")
    if len(digits) <= 10 and not phonenumbers.is_valid_number(parsed):
        raise NumberError(text, f"seems to have no country code: write +{digits} if it has, or name the country")
    return _format(parsed)


def _refuse_spreadsheet_damage(text: str) -> None:
    if not text:
        raise NumberError(text, "is empty: a phone number is needed here")
    if len(text) > MAX_TEXT:
        raise NumberError(text, f"is longer than {MAX_TEXT} characters: one number is expected")
    if _SCIENTIFIC.fullmatch(text):
        raise NumberError(text, "was rounded by a spreadsheet: format the column as text and export it again")


def _refuse_words(text: str, bare: str, parsed: PhoneNumber | None) -> None:
    if parsed is not None and parsed.extension:
        raise NumberError(text, "has an extension: numbers are bought without one")
    if _LETTER.search(bare):
        raise NumberError(text, "has letters in it: write the number alone, in digits")


def _possible(text: str, international: str) -> str:
    parsed = _parse(international, None)
    _refuse_words(text, international, parsed)
    if parsed is None:
        raise NumberError(text, "is not a phone number with a known country code, like +14155550100")
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    if reason == phonenumbers.ValidationResult.TOO_SHORT:
        raise NumberError(text, f"is too short for a number of +{parsed.country_code}")
    if reason == phonenumbers.ValidationResult.TOO_LONG:
        raise NumberError(text, f"is too long for a number of +{parsed.country_code}")
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise NumberError(text, f"is not a possible number of +{parsed.country_code}")
    return _format(parsed)


def _national(bare: str, country: str) -> str | None:
    if _LETTER.search(bare):
        return None
    parsed = _parse(bare, country)
    if parsed is None or parsed.extension or not phonenumbers.is_possible_number(parsed):
        return None
    return _format(parsed)


def _parse(text: str, country: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, country)
    except NumberParseException:
        return None


def _format(parsed: PhoneNumber) -> str:
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
