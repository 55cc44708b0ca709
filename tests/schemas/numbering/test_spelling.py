"""How a number is spelled: unseen characters, marks, what spreadsheets make of it, two numbers in one text."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.numbering.numbers import NumberError, read_number
from schemas.numbering.spelling import plain_spelling, quoted, visible

BLANKS = [*(chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Zs"), "\t"]
UNSEEN = [
    *"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180f\u200b\u200d\u200f\u202a\u202e\u2060\u2066\u206f\u3164",
    *"\ufe00\ufe0f\ufeff\uffa0\ufff0\ufff8\U0001bca0\U0001bca3\U0001d173\U0001d17a\U000e0000\U000e0041\U000e0fff",
]
COMPUTED = "was computed by a spreadsheet"


def refusal(text: str, country: str | None = None) -> str:
    with pytest.raises(NumberError) as caught:
        read_number(text, country)
    return str(caught.value)


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_every_blank_is_a_blank(blank):
    assert visible(f"{blank}a{blank}b{blank}") == "a b"
    assert read_number(f"{blank}+1{blank}415{blank}555{blank}0142{blank}") == "+14155550142"


@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
def test_what_nobody_sees_is_dropped_wherever_it_stands(unseen):
    assert visible(f"{unseen} a{unseen}b {unseen}") == "ab"
    for place in range(len("+14155550142") + 1):
        text = "+14155550142"[:place] + unseen + "+14155550142"[place:]
        assert read_number(text) == "+14155550142"
    assert "is empty" in refusal(unseen)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+1415555O142", "'+1415555O142'"),
        ("+1415555\u041e142", r"'+1415555\u041e142'"),
        ("415\x07555\u2063", r"'415\u0007555\u2063'"),
        ("1\U0001f600", r"'1\U0001f600'"),
        ("\u0661\u0662\u0663", "'\u0661\u0662\u0663'"),
        ("Z\u00fcrich", "'Z\u00fcrich'"),
        ("a\nb\\c'd", '"a\\nb\\\\c\'d"'),
    ],
)
def test_what_is_odd_is_shown_by_its_code(text, shown):
    assert quoted(text) == shown
    assert quoted("x" * 9, 4) == "'xxx\N{HORIZONTAL ELLIPSIS}'"


def test_a_refused_number_shows_the_letter_that_looks_like_a_digit():
    assert refusal("+1415555\u041e142") == r"'+1415555\u041e142' has letters in it: write the number alone, in digits"


def test_what_is_seen_stays():
    assert visible("\u00fc\u0661\u2011\U0001f600") == "\u00fc\u0661\u2011\U0001f600"


@pytest.mark.parametrize("dash", "-\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d")
def test_a_dash_of_any_kind_separates_and_never_leads(dash):
    assert read_number(f"212{dash}555{dash}0142", "US") == "+12125550142"
    assert COMPUTED in refusal(f"{dash}2125550142", "US")
    assert "looks like two numbers" in refusal(f"040 5550142{dash}43", "DE")


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("-9765432019", "IN"),
        ("'-9765432019", "IN"),
        ("2125550142-", "US"),
        ("(2125550142)", "US"),
        ("(2,125,550,142)", "US"),
        ("=2125550142", "US"),
        ('="2125550142"', "US"),
        ("=+1-212-5550142", None),
        ("=A1+B1", None),
        ("@2125550142", "US"),
        ("#2125550142", "US"),
        ("#REF!", None),
        ("########", None),
        ("$2125550142", "US"),
        ("\u20ac 2125550142", "US"),
        ("2125550142 \u00a3", "US"),
        ("2125550142%", "US"),
    ],
)
def test_what_a_spreadsheet_computed_is_refused(text, country):
    assert COMPUTED in refusal(text, country)


@pytest.mark.parametrize("text", ["=+12125550142", '="+12125550142"', '="+1 (212) 555-0142"'])
def test_a_formula_that_holds_a_text_is_that_text(text):
    assert read_number(text) == "+12125550142"


@pytest.mark.parametrize("text", ["2.12556E+9", "2,12556E+09", "-3.3E8", "+1.2E+10", "3E-4"])
def test_a_rounded_number_is_refused(text):
    assert "was rounded by a spreadsheet" in refusal(text, "US")


@pytest.mark.parametrize(
    "text", ["04042838.0", "+494042838.0", "0301234.000", "00494042838.0", "+14155550100.00", "+1,415,555,010.0"]
)
def test_a_text_that_no_spreadsheet_computed_loses_no_zero_behind_a_dot(text):
    for country in ("DE", None):
        assert "has the fraction" in refusal(text, country)


@pytest.mark.parametrize(
    "text", ["27.11.2026", "1.2.2026", "2026-11-27", "2026.11.27", "27-11-2026", "27 11 2026", "1999-1-2"]
)
@pytest.mark.parametrize("country", ["DE", "AT", "DK", "FI", "SE", "US", None])
def test_a_date_is_no_number(text, country):
    assert "looks like a date" in refusal(text, country)


@pytest.mark.parametrize("text", ["2125550142.5", "2125550142.25", "2125550142,7", "40 5550142.5", "40 5550142,125"])
def test_a_fraction_is_refused(text):
    for country in ("US", "DE"):
        assert "has the fraction" in refusal(text, country)


@pytest.mark.parametrize(
    "text",
    [
        "12,125,550,142",
        "12.125.550.142",
        "12 125 550 142",
        "12\u202f125\u202f550\u202f142",
        "12'125'550'142",
        "12\u2019125\u2019550\u2019142",
        "+12,125,550,142",
        "12,125,550,142.00",
        "12.125.550.142,0",
    ],
)
def test_thousands_are_no_other_number(text):
    assert read_number(text) == "+12125550142"


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("040 5550142/43", "DE"),
        ("+49 40 5550142/43", None),
        ("2125550142 / 2125550143", "US"),
        ("2125550142/0143", "US"),
        ("2125550142\\0143", "US"),
        ("2125550142;2125550143", "US"),
        ("2125550142, 2125550143", "US"),
        ("2125550142 & 2125550143", "US"),
        ("2125550142|0143", "US"),
        ("2125550142\n2125550143", "US"),
        ("+12125550142 +12125550143", None),
        ("040 5550142-43", "DE"),
        ("040 5550142 - 143", "DE"),
        ("0142-3", "DE"),
        ("+1 212 555 0142-43", None),
        ("12,1255,550,142", None),
    ],
)
def test_two_numbers_in_one_text_are_refused(text, country):
    assert "looks like two numbers: give each a row of its own" in refusal(text, country)


@pytest.mark.parametrize("text", ["212-555-0142.", ".2125550142", "212)5550142", "(212 5550142", "*2125550142"])
def test_marks_stand_between_digits_only(text):
    assert "is not one phone number" in refusal(text, "US")


@given(st.text(max_size=80))
def test_a_spelling_keeps_every_digit(text):
    try:
        spelled = plain_spelling(text)
    except NumberError:
        return
    digits = "".join(str(unicodedata.decimal(char)) for char in text if char.isdecimal())
    kept = "".join(char for char in spelled if char.isdecimal())
    assert digits == kept or (digits.startswith(kept) and set(digits[len(kept) :]) == {"0"})
    assert set(spelled) <= set("+0123456789 ().-")
