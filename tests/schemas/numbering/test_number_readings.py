"""Whose number a text is: by its plus, by the country that is named, or by nothing. It is never guessed."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.numbering.numbers import NumberError, digits_only, parse_e164, read_number
from schemas.numbering.regions import region_of

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
SEPARATORS = st.sampled_from(["", "", "", " ", "-", ".", " - ", ") ", " (", "/", ",", "'"])
SPELLED = st.lists(st.tuples(st.text("0123456789", min_size=1, max_size=5), SEPARATORS), min_size=1, max_size=6).map(
    lambda parts: "".join(digits + separator for digits, separator in parts)
)
# their numbers' lengths vary so that one with their own code may be a longer one without it
AMBIGUOUS = ("DE", "ID", "SE", "XK")
TYPES = (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE)


def refusal(text: str, country: str | None = None) -> str:
    with pytest.raises(NumberError) as caught:
        read_number(text, country)
    return str(caught.value)


@pytest.mark.parametrize("line", ["5550100", "8675309"])
def test_ten_digits_of_north_america_are_nobody_elses(line):
    for area in range(201, 990):
        for read in (read_number, parse_e164):
            with pytest.raises(NumberError, match="country code"):
                read(f"{area}{line}")
        if region_of(f"+1{area}{line}") == "US":
            assert read_number(f"{area}{line}", "US") == f"+1{area}{line}"


@pytest.mark.parametrize(
    ("text", "country", "owner"),
    [
        ("2425550100", "US", "BS"),
        ("(868) 555-0100", "US", "TT"),
        ("1 613 555 0100", "US", "CA"),
        ("4155550100", "CA", "US"),
        ("77012345678", "RU", "KZ"),
        ("07797 123456", "GB", "JE"),
    ],
)
def test_a_number_of_another_country_with_the_same_code_is_refused(text, country, owner):
    with pytest.raises(NumberError, match=rf"is of {owner}, not of {country}: write \+\d+, or name that country"):
        read_number(text, country)
    assert region_of(read_number(text, owner)) == owner


@pytest.mark.parametrize("country", ["US", "CA", "BS"])
def test_what_all_countries_of_a_code_share_is_nobody_elses(country):
    assert read_number("800 555 0100", country) == "+18005550100"


@pytest.mark.parametrize(
    ("text", "national", "international"),
    [
        ("6465550123", "+1 646 555 0123 (US)", "+64 6 555 0123 (NZ)"),
        ("(312) 555-0134", "+1 312 555 0134 (US)", "+31 25550134 (NL)"),
        ("9175550042", "+1 917 555 0042 (US)", "+91 75550042 (IN)"),
        ("6591234567", "+91 6591 234 567 (IN)", "+65 9123 4567 (SG)"),
        ("298201234", "+49 2982 01234 (DE)", "+298 20 12 34 (FO)"),
        ("49404463", "a national number without its country code", "+49 40 4463 (DE)"),
        ("11987654321", "+55 11 98765 4321 (BR)", "+1 1987654321 (US)"),
        ("13812345678", "+86 138 1234 5678 (CN)", "+1 381 234 5678 (US)"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_both(text, national, international):
    mend = "write the plus and the country code, or name the country"
    assert refusal(text) == f"{text!r} can be read in two ways, {national} or {international}: {mend}"


@pytest.mark.parametrize("digits", ["918765432109", "14165550123", "442071838750", "4915112345678", "85221234567"])
def test_digits_with_a_country_code_that_leave_no_doubt_are_taken(digits):
    assert parse_e164(digits) == read_number(digits) == f"+{digits}"


@pytest.mark.parametrize("text", ["02071838750", "4155550100", "8 495 123"])
def test_a_number_of_nowhere_is_told_without_a_guess(text):
    told = refusal(text)
    assert "has no country code: write +, the code and the number, or name the country" in told
    assert "(" not in told.removeprefix(repr(text))


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("212-555-01345", "US"),
        ("442071838750", "US"),
        ("01144 20 7183 8750", "US"),
        ("555 0100", "US"),
        ("3361234567890", "FR"),
        ("19", "US"),
    ],
)
def test_a_number_never_becomes_another_countrys(text, country):
    assert f"is not a possible number of {country}: mend it, or write the plus" in refusal(text, country)


def test_with_a_plus_the_country_does_not_matter():
    for country in ("US", "DE", None):
        assert read_number("+44 20 7183 8750", country) == "+442071838750"
        assert read_number("0044 20 7183 8750", country) == "+442071838750"


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("4930 5550134", "DE", "+49305550134"),
        ("030 5550134", "DE", "+49305550134"),
        ("391 234 5678", "IT", "+393912345678"),
        ("9187 654321", "IN", "+919187654321"),
        ("91 98765 01234", "IN", "+919876501234"),
        ("8 (495) 123-45-67", "RU", "+74951234567"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("01.23.45.67.89", "FR", "+33123456789"),
        ("010-1234-5678", "KR", "+821012345678"),
        ("0412-345-678", "AU", "+61412345678"),
    ],
)
def test_a_country_is_that_of_what_has_no_plus(text, country, number):
    assert read_number(text, country) == number


@pytest.mark.parametrize(
    ("text", "country", "readings"),
    [
        ("4915123456789", "DE", "+49 491 5123456789 (DE) or +49 1512 3456789 (DE)"),
        ("46 8 123456", "SE", "+46 46 812 34 56 (SE) or +46 8 12 34 56 (SE)"),
        ("1415 5550100", "DE", "+49 14155550100 (DE) or +1 415 555 0100 (US)"),
    ],
)
def test_two_numbers_of_one_country_are_refused_with_both(text, country, readings):
    assert f"{readings}: write the plus and the country code" in refusal(text, country)


@pytest.mark.parametrize(("text", "country"), [("15012345678", "CN"), ("51987654321", "BR"), ("15752345678", "DE")])
def test_what_is_valid_in_the_country_that_was_named_is_of_it(text, country):
    code = phonenumbers.country_code_for_region(country)
    assert read_number(text, country) == f"+{code}{text}"


@pytest.mark.parametrize(
    ("text", "country", "told"),
    [
        ("0011 44 20 7183 8750", "AU", "is perhaps +44 20 7183 8750 (GB): write the plus"),
        ("0041 1 415 555 0134", "BR", "is perhaps +1 415 555 0134 (US): write the plus"),
        ("0084 9669403", "KR", "+84 9669403 (VN) or +49 6694 03 (DE): write the plus"),
    ],
)
def test_a_longer_prefix_than_00_is_not_taken_for_a_country_code(text, country, told):
    assert told in refusal(text, country)


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [("0061 2 9374 4000", "HK", "+61293744000"), ("001 415 555 0134", "HK", "+14155550134")],
)
def test_a_longer_prefix_that_leaves_no_valid_number_is_none(text, country, number):
    assert read_number(text, country) == number


def test_a_digit_behind_the_plus_is_never_dropped():
    assert "is not E.164: perhaps +441212345678 is meant" in refusal("+44 0121 234 5678")
    assert "is longer than the 15 digits of E.164" in refusal("+49 1000000000000000")
    assert read_number("+49 30 555 (0)134") == "+49305550134"


def test_only_a_trunk_zero_in_brackets_is_left_out():
    assert read_number("+49 (0)30 5550134") == "+49305550134"
    assert read_number("+39 (0)6 1234 5678") == "+390612345678"


@pytest.mark.parametrize("region", REGIONS)
def test_every_countrys_own_spelling_is_its_number(region):
    for kind in TYPES:
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None:
            continue
        number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
        assert read_number(national, region) == number
        if region not in AMBIGUOUS and len(number) > len("+12345"):
            assert read_number(digits_only(number), region) == number
        international = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        assert read_number(international) == number


@example("0 02700000", "AC")
@given(SPELLED, st.sampled_from(REGIONS))
def test_without_a_plus_a_number_is_of_the_country_that_was_named(text, country):
    try:
        number = read_number(text, country)
    except NumberError:
        return
    if not re.sub(r"\D", "", text).startswith("00"):
        code = phonenumbers.country_code_for_region(country)
        assert phonenumbers.parse(number, None).country_code == code
    assert parse_e164(number) == read_number(number, country) == read_number(number) == number


@given(SPELLED)
def test_with_a_plus_its_digits_are_the_texts(text):
    try:
        number = read_number(f"+{text}")
    except NumberError:
        return
    assert digits_only(number) in (re.sub(r"\D", "", text), re.sub(r"\D", "", text.replace("(0)", "", 1)))


@given(st.from_regex(r"\A\+?[0-9]{5,15}\Z"))
def test_a_message_and_a_file_never_differ(text):
    def outcome(read):
        try:
            return read(text)
        except NumberError:
            return None

    if not text.startswith("00"):
        assert outcome(read_number) == outcome(parse_e164)
