"""Phone numbers: read in any spelling, kept as E.164 with the plus.

A number must be *possible* in libphonenumber's sense (its country code exists and its length fits);
ranges opened last month are possible long before they are 'valid'. A number is never guessed: what can be read in two
ways is refused with both. One rule holds for messages, files and the command line:

- With a plus (or 00) the digits are the number, whatever country is named. Only a trunk zero in brackets, +44 (0)20,
  is left out.
- Without a plus and with a country it is a number of that country: a national one, or one that begins with the
  country's own code. Its digits are all kept but for that code or the country's trunk prefix: none are dropped as a
  carrier's, none are put before. It never becomes another country's, not even of one that shares the code. Where two
  readings are possible, it is the one that is valid; where both are, it is refused.
- Without both, the digits must be an international number and nothing else. Ten digits or fewer are refused, for most
  national numbers have that many: 6465550100 is of New York or of New Zealand. More are taken where some country
  assigns them as they stand (14155550100, 919876543210), and where they may be of a new range; but not where they are
  a number of a large country whose code is missing: 11987654321 is of Sao Paulo, and no number of +1.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat, ValidationResult

from schemas.numbering.regions import NANP, may_be_of, region_of
from schemas.numbering.spelling import MIN_DIGITS, TWO, NumberError, end_apart, plain_spelling

__all__ = ["NumberError", "digits_only", "national_digits", "parse_e164", "read_number"]

_E164 = re.compile(r"\+?[1-9][0-9]{6,14}")
_MAX_DIGITS = 15
_MAX_NATIONAL = 10
_MIN_WHOLE = 7
# whose number it likely is where the code is missing: those who have the most, and +1 before them
_LARGE = ("IN", "BR", "GB", "DE", "FR", "IT", "ES", "MX", "ID", "CN", "JP", "PK", "NG", "CO", "TR", "PH", "VN", "KR")


def parse_e164(text: str) -> str:
    """Return *text*, an E.164 number with or without the plus, as E.164 with the plus.

    Raises NumberError for anything else: for spelling with blanks or dashes, and for digits without the plus that can
    be read in two ways. Digits are never changed: a trunk prefix behind the country code (+44 0121...) is refused, for
    its E.164 would be another text.
    """
    text = text.strip()
    if not _E164.fullmatch(text):
        raise NumberError(text, "is not E.164: write a country code and digits, like +14155550100")
    return _international(text, text) if text.startswith("+") else _without_country(text, text)


def read_number(text: str, country: str | None = None) -> str:
    """Return a number as a person wrote it (blanks, dashes, tel:, 00 prefix) as E.164 with the plus.

    *country* (ISO 3166-1 alpha-2) is that of a number without a plus. Letters are refused: a mistyped digit (O for 0)
    or a remark must not become another number; so is what a spreadsheet computed, and two numbers in one text.
    Raises NumberError.
    """
    text = text.strip()
    if text.startswith("+") and _E164.fullmatch(text):
        return _international(text, text)
    spelled = plain_spelling(text)
    digits = _digits(spelled)
    number = _read_spelled(text, spelled, digits, country)
    _refuse_end(text, spelled, number, country)
    return number


def _read_spelled(text: str, spelled: str, digits: str, country: str | None) -> str:
    # 49 (0)30 lacks its plus, and nothing else.
    if spelled.startswith("+") or (country and re.match(rf"{_code(country)} *\(0\)", spelled)):
        return _international(text, f"+{digits}", without_trunk=_without_trunk(spelled))
    if digits.startswith("00"):
        return _dialled(text, digits, country)
    return _without_country(text, digits) if country is None else _of_country(text, digits, country)


def digits_only(number: str) -> str:
    """Return E.164 without the plus."""
    return number.removeprefix("+")


def national_digits(number: str) -> str:
    """Return E.164 without the plus and without its country code; as `digits_only` where that is not known."""
    parsed = _parse(number, None)
    return digits_only(number) if parsed is None else phonenumbers.national_significant_number(parsed)


# On its way a number is read some thirty times, from rows and from answers.
@lru_cache(maxsize=4096)
def _international(text: str, given: str, without_trunk: str | None = None) -> str:
    """The number *given* with its plus, digit by digit; or *without_trunk* where that is its only E.164."""
    if len(given) > len("+") + _MAX_DIGITS:
        raise NumberError(text, f"is longer than the {_MAX_DIGITS} digits of E.164")
    parsed = _parse(given, None)
    if parsed is None:
        raise NumberError(text, "is not a phone number with a known country code, like +14155550100")
    if (problem := _why_impossible(given, parsed)) is not None:
        raise NumberError(text, f"{problem} number of +{parsed.country_code}")
    number = _format(parsed)
    if number != given and (number != without_trunk or _possible(number) is None):
        raise NumberError(text, f"is not E.164: perhaps {number} is meant")
    return number


def _why_impossible(given: str, parsed: PhoneNumber) -> str | None:
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    if reason == ValidationResult.TOO_SHORT or not _E164.fullmatch(given):
        return "is too short for a"
    if reason == ValidationResult.TOO_LONG:
        return "is too long for a"
    return None if reason == ValidationResult.IS_POSSIBLE else "is not a possible"


def _without_trunk(spelled: str) -> str | None:
    return f"+{_digits(spelled.replace('(0)', '', 1))}" if "(0)" in spelled else None


def _refuse_end(text: str, spelled: str, number: str, country: str | None) -> None:
    """Refuse a whole number with the end of another behind it: 030 5550170-0171, or 98765 43210 70, which is no number.

    Where a country's numbers have many lengths, both may be valid.
    """
    apart = end_apart(spelled)
    if apart is None:
        return
    head, mark, looks = apart
    valid = _valid(_possible(number))
    if (looks or not valid) and _is_whole(head, country, own=valid):
        raise NumberError(text, TWO.format(mark))


def _is_whole(head: str, country: str | None, *, own: bool) -> bool:
    """Whether a text is a number; in an *own* number's it is one only if it is not short, and as that is read."""
    digits = _digits(head)
    if not own and not head.startswith("+") and NANP.fullmatch(digits.removeprefix("1")):
        return True
    parsed = _parse(head if country or head.startswith("+") else f"+{digits}", country)
    if parsed is None or not _valid(parsed):
        return False
    return not own or len(phonenumbers.national_significant_number(parsed)) >= _MIN_WHOLE


def _dialled(text: str, digits: str, country: str | None) -> str:
    """A number after 00. Some countries dial more than 00 (Australia 0011): the rest of that may be another number."""
    number = f"+{digits[2:]}"
    metadata = PhoneMetadata.metadata_for_region(country or "", None)
    longer = re.match(metadata.international_prefix or "", digits) if metadata is not None else None
    other = f"+{digits[longer.end() :]}" if longer is not None and longer.end() > len("00") else ""
    if _possible(number) is None and _possible(other) is not None:
        raise NumberError(text, f"is perhaps {_shown(other)}: write the plus and the country code")
    _refuse_other(text, number, other)
    return _international(text, number)


def _of_country(text: str, digits: str, country: str) -> str:
    """A number of *country*, with or without its code."""
    parsed = _parse(digits, country)
    code = _code(country)
    number = _format(parsed) if parsed is not None and parsed.country_code == code else ""
    if parsed is None or _possible(number) is None or not _keeps_digits(parsed, digits, country):
        mend = "mend it, or write the plus and the country code if it is of another"
        raise NumberError(text, f"is not a possible number of {country}: {mend}")
    if len(digits) < _MIN_WHOLE and not _valid(parsed):
        mend = "write the plus and the country code if it is one"
        raise NumberError(text, f"is too short for a number of {country}: {mend}")
    _refuse_elsewhere(text, number, country)
    _refuse_lost_zero(text, digits, number, country)
    _refuse_two_readings(text, digits, number, country)
    return number


def _refuse_two_readings(text: str, digits: str, number: str, country: str) -> None:
    """Whether its first digits are the code of *country* may be open, and whether a trunk prefix follows."""
    code = _code(country)
    if number == f"+{digits}":
        _refuse_other(text, number, f"+{code}{digits}")
    elif digits.startswith(str(code)) or (len(digits) > _MAX_NATIONAL and not _valid(_possible(number))):
        _refuse_other(text, number, f"+{digits}")
    for trunk in _trunks(country):
        if digits.startswith(f"{code}{trunk}") and number != (other := f"+{code}{digits[len(f'{code}{trunk}') :]}"):
            _refuse_other(text, number, other)


def _code(country: str) -> int:
    return phonenumbers.country_code_for_region(country)


def _keeps_digits(parsed: PhoneNumber, digits: str, country: str) -> bool:
    """Whether a text is what was read in it, and before that no more than the trunk prefix or the code of *country*.

    Numbers of mobiles are written in other digits in some countries: the Argentinian 15 for 9.
    """
    code, trunks = str(parsed.country_code), _trunks(country) - {str(parsed.country_code)}
    written = _digits(phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL))
    # A trunk prefix stands there once: 4400 2079460123 is no number.
    shorn = {written.removeprefix(trunk) for trunk in trunks if trunk and written.startswith(trunk)} or {written}
    bare = {phonenumbers.national_significant_number(parsed), *shorn}
    whole = {written, *(f"{trunk}{one}" for trunk in ("", *trunks) for one in bare)}
    return any(digits == f"{first}{one}" for first in ("", code) for one in whole)


@lru_cache(maxsize=300)
def _trunks(country: str) -> frozenset[str]:
    """What is dialled before a national number: libphonenumber's own, and single digits that are of no carrier."""
    metadata = PhoneMetadata.metadata_for_region(country, None)
    if metadata is None:
        return frozenset()
    prefixes = re.compile(metadata.national_prefix_for_parsing or "(?!)")
    single = {digit for digit in "0123456789" if (found := prefixes.fullmatch(digit)) and not any(found.groups())}
    return frozenset(single | ({metadata.national_prefix} if metadata.national_prefix else set()))


def _refuse_elsewhere(text: str, number: str, country: str) -> None:
    """Refuse a number of another country with the same code: 613 is of Canada, though it is dialled alike in the US."""
    if not may_be_of(number, country):
        raise NumberError(text, f"is of {region_of(number)}, not of {country}: write {number}, or name that country")


def _refuse_lost_zero(text: str, digits: str, number: str, country: str) -> None:
    """Refuse what is a number of *country* only with the leading 0 that a spreadsheet takes away."""
    if digits.startswith("0") or _valid(_possible(number)):
        return
    whole = _parse(f"0{digits}", country)
    if whole is not None and _valid(whole) and (other := _format(whole)) != number:
        _refuse_other(text, number, other)


def _refuse_other(text: str, number: str, other: str) -> None:
    """Refuse a text that may as well be *other*; where one alone is valid, it is that."""
    second = _possible(other)
    if second is not None and (_valid(second) or not _valid(_possible(number))):
        raise NumberError(text, f"{_two_ways(number, other)}: write the plus and the country code")


def _without_country(text: str, digits: str) -> str:
    if len(digits) < MIN_DIGITS:
        raise NumberError(text, "is not a phone number")
    number = f"+{digits}"
    parsed = _possible(number)
    if parsed is None:
        raise NumberError(text, "has no country code: write +, the code and the number, or name the country")
    short = len(digits) <= _MAX_NATIONAL
    other = _national(digits, number) if short or not _valid(parsed) else None
    if short or other is not None:
        mend = "write the plus and the country code, or name the country"
        raise NumberError(text, f"{_two_ways(other, number)}: {mend}")
    return number


def _national(digits: str, number: str) -> str | None:
    """The other number that *digits* may be beside the international *number*: one whose country code is missing."""
    if NANP.fullmatch(digits):
        return f"+1{digits}"
    codes = (phonenumbers.country_code_for_region(region) for region in _LARGE)
    readings = (f"+{code}{digits}" for code in codes)
    return next((one for one in readings if one != number and _valid(_possible(one))), None)


def _two_ways(other: str | None, number: str) -> str:
    first = _shown(other) if other is not None else "a national number without its country code"
    return f"can be read in two ways, {first} or {_shown(number)}"


def _shown(number: str) -> str:
    spelled = phonenumbers.format_number(phonenumbers.parse(number, None), PhoneNumberFormat.INTERNATIONAL)
    return f"{spelled.replace('-', ' ')} ({region_of(number) or 'no country'})"


def _possible(given: str) -> PhoneNumber | None:
    """*given*, where it is the E.164 of a possible number with its plus."""
    parsed = _parse(given, None) if _E164.fullmatch(given) else None
    if parsed is None or phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return None
    return parsed if _format(parsed) == given else None


def _valid(parsed: PhoneNumber | None) -> bool:
    return parsed is not None and phonenumbers.is_valid_number(parsed)


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


def _parse(text: str, country: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, country)
    except NumberParseException:
        return None


def _format(parsed: PhoneNumber) -> str:
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
