"""schemas.numbering.numbers: what is read as a number, what is refused, and that reading twice changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.numbering.numbers import NumberError, digits_only, parse_e164, read_number
from schemas.numbering.regions import known_country, region_of, told_region

DIGITS = st.text("0123456789", min_size=6, max_size=15)


@pytest.mark.parametrize("text", ["+14155550100", "14155550100", "  +14155550100\n"])
def test_e164_is_taken_with_or_without_the_plus(text):
    assert parse_e164(text) == "+14155550100"


@pytest.mark.parametrize(
    "text", ["+1 415 555 0100", "+1-415-555-0100", "tel:+14155550100", "", "+", "04155550100", "x"]
)
def test_other_spellings_are_no_e164(text):
    with pytest.raises(NumberError, match=r"is not E\.164"):
        parse_e164(text)


def test_a_leading_zero_that_belongs_to_the_number_stays():
    assert parse_e164("+390612345678") == "+390612345678"


def test_a_trunk_prefix_is_refused_and_the_likely_number_named():
    with pytest.raises(NumberError, match=r"perhaps \+441212345678 is meant"):
        parse_e164("+4401212345678")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("+1415555010", "too short for a number of [+]1"),
        ("+141555501000", "too long for a number of [+]1"),
        ("+99912345678", "known country code"),
    ],
)
def test_an_impossible_number_says_why(text, reason):
    with pytest.raises(NumberError, match=reason):
        parse_e164(text)


def test_a_possible_number_that_is_not_valid_yet_is_taken():
    assert parse_e164("+15550000000") == "+15550000000"


@pytest.mark.parametrize(
    "text",
    [
        "+1 (415) 555-0100",
        "(+1) 415.555.0100",
        "tel:+1-415-555-0100",
        "TEL: +14155550100",
        "001 415 555 0100",
        "14155550100",
        "1 415 555 0100",
        "'+14155550100",
        "14155550100.0",
        "14155550100.00",
        "14155550100,0",
        "\uff0b14155550100",
        "+1\u00a0415\u00a05550100",
        "\u202a+14155550100\u202c",
        "\u202a14155550100",
        "\ufeff+14155550100",
        "\u0661\u0664\u0661\u0665\u0665\u0665\u0665\u0660\u0661\u0660\u0660",
    ],
)
def test_people_spell_one_number_in_many_ways(text):
    assert read_number(text) == "+14155550100"


def test_a_trunk_prefix_in_parentheses_is_dropped():
    assert read_number("+44 (0)121 234 5678") == "+441212345678"


@pytest.mark.parametrize("text", ["(415) 555-0100", "4155550100", "1 415 555 0100", "+1 415 555 0100"])
def test_a_national_number_takes_the_country(text):
    assert read_number(text, "US") == "+14155550100"


def test_a_number_of_the_country_may_have_its_code():
    assert read_number("442079460958", "GB") == "+442079460958"
    assert read_number("020 7946 0958", "GB") == "+442079460958"


@pytest.mark.parametrize("text", ["4155550100", "(415) 555-0100", "02079460958"])
def test_a_national_number_without_a_country_is_not_guessed(text):
    with pytest.raises(NumberError, match="country code"):
        read_number(text)


@pytest.mark.parametrize("text", ["1.41556E+10", "1,41556E+10", "4E11"])
def test_a_number_rounded_by_a_spreadsheet_is_refused(text):
    with pytest.raises(NumberError, match="rounded by a spreadsheet: format the column as text"):
        read_number(text)


@pytest.mark.parametrize("country", [None, "DE"])
@pytest.mark.parametrize("text", ["+49 30 123456 ext 12", "49 30 123456 ext 12", "+49 30 123456 x12"])
def test_an_extension_is_refused_and_never_glued_on(text, country):
    with pytest.raises(NumberError, match="extension"):
        read_number(text, country)


@pytest.mark.parametrize("text", ["+49301234567O", "49301234567O", "call +14155550100", "+1-800-FLOWERS"])
def test_letters_are_refused(text):
    with pytest.raises(NumberError, match="has letters in it"):
        read_number(text)


@pytest.mark.parametrize("text", ["", "   ", "'", "\ufeff"])
def test_an_empty_text_says_so(text):
    with pytest.raises(NumberError, match="is empty"):
        read_number(text)


def test_a_long_text_is_refused_and_not_repeated():
    with pytest.raises(NumberError, match="longer than 64") as caught:
        read_number("1" * 100_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["+14155550100/+14155550101", "+14155550100, +14155550101", "hello", "12", "+-+"])
def test_what_is_not_one_number_is_refused(text):
    with pytest.raises(NumberError):
        read_number(text)


@given(st.sampled_from(["", "+", "00", "+44 0", "+64000", "+4306"]), DIGITS, st.sampled_from([None, "US", "DE", "NZ"]))
def test_what_was_read_reads_the_same_again(prefix, digits, country):
    try:
        number = read_number(prefix + digits, country)
    except NumberError:
        return
    assert parse_e164(number) == number
    assert read_number(number, country) == number


@given(DIGITS)
def test_e164_never_changes_a_digit(digits):
    try:
        assert parse_e164(f"+{digits}") == f"+{digits}"
    except NumberError:
        return


@given(st.text(max_size=100), st.sampled_from([None, "US", "XX"]))
def test_any_text_is_a_number_or_a_number_error(text, country):
    try:
        number = read_number(text, country)
    except NumberError:
        return
    assert number.startswith("+")
    assert number[1:].isdecimal()


def test_digits_only_drops_the_plus():
    assert digits_only("+14155550100") == "14155550100"
    assert digits_only("14155550100") == "14155550100"


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+442079460958", "GB"),
        ("+14155550100", "US"),
        ("+14165550100", "CA"),
        ("+12642351234", "AI"),
        ("+12225550100", "US"),
        ("+80012345678", None),
        ("+390612345678", "IT"),
    ],
)
def test_region_is_the_country_where_one_can_be_told(number, region):
    assert region_of(number) == region


@pytest.mark.parametrize(
    ("number", "told", "region"),
    [
        ("+14155550100", "US", "US"),
        ("+14165550100", "CA", "CA"),
        ("+12009999999", None, "US"),
        ("+442012345678", "GB", "GB"),
        ("+447000000", None, "GB"),
        ("+77010000000", "KZ", "KZ"),
        ("+4930123456", "DE", "DE"),
        ("+80012345678", None, None),
    ],
)
def test_a_region_is_told_only_by_a_range_of_that_country_s_own(number, told, region):
    assert (told_region(number), region_of(number)) == (told, region)


def test_known_countries_are_alpha_2_codes():
    assert known_country("US")
    assert not known_country("us")
    assert not known_country("XX")
    assert not known_country("USA")
