"""A number keeps all digits of its text, and what is a whole number with more behind it is two."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.numbering.numbers import NumberError, digits_only, read_number

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)

WRITTEN = {
    "US": ("+14155550100", "415.555.0100", "415-555-0100", "1-415-555-0100", "(415) 555-0100", "(415) (5550100)"),
    "GB": (
        *("+442071234567", "020 7123 4567", "020-7123-4567", "(020) 7123 4567"),
        *(
            "+44 (0)20 7123 4567",
            "44 20 7123 4567",
        ),
    ),
    "DE": ("+49301234567", "030 1234567", "030-1234567", "+49 (0)30 1234567", "(0)30 1234567", "49 (0)30 1234567"),
    "FR": (
        *("+33123456789", "01 23 45 67 89", "01.23.45.67.89", "01-23-45-67-89"),
        *(
            "+33 1 23 45 67 89",
            "+33 (0)1.23.45.67.89",
        ),
    ),
    "DK": ("+4512345678", "12-34-56-78", "12 34 56 78", "12.34.56.78", "+45 12-34-56-78", "1234-5678"),
    "IN": ("+919876543210", "98765-43210", "098765 43210", "+91-98765-43210", "91 98765 43210", "98765.43210"),
    "JP": ("+81312345678", "03-1234-5678", "(03) 1234-5678", "+81 3-1234-5678", "03.1234.5678", "+81 (0)3 1234 5678"),
    "KR": ("+821012345678", "010-1234-5678", "+82 10-1234-5678", "010.1234.5678", "82 10 1234 5678"),
    "CN": (
        *("+8613812345678", "138-1234-5678", "138 1234 5678", "+86 138-1234-5678"),
        *(
            "86 138 1234 5678",
            "0138 1234 5678",
        ),
    ),
    "BR": (
        *("+5511987654321", "(11) 98765-4321", "011 98765-4321", "+55 11 98765-4321"),
        *(
            "55 11 98765 4321",
            "11.98765.4321",
        ),
    ),
    "RU": (
        *("+74951234567", "8 (495) 123-45-67", "8-495-123-45-67", "495 123-45-67"),
        *(
            "+7 495 123-45-67",
            "7 495 1234567",
        ),
    ),
    "IT": ("+390212345678", "02 1234 5678", "02-1234-5678", "02.1234.5678", "+39 02 12345678", "39 02 1234 5678"),
    "ES": ("+34912345678", "912 345 678", "912-345-678", "91 234 56 78", "912.345.678", "34 912 345 678"),
    "AU": ("+61412345678", "0412-345-678", "0412 345 678", "+61 412 345 678", "61 412 345 678", "(0)412 345 678"),
    "CH": (
        *("+41441234567", "044 123 45 67", "044-123-45-67", "044.123.45.67"),
        *(
            "+41 44 123 45 67",
            "+41 (0)44 123 45 67",
        ),
    ),
    "MX": ("+525512345678", "55 1234 5678", "55-1234-5678", "(55) 1234-5678", "52 55 1234 5678"),
    "CO": ("+573211234567", "321 123 4567", "321-123-4567", "+57 321 1234567", "57 321 123 4567"),
    "AR": ("+5491123456789", "011 15-2345-6789", "11 15 2345-6789", "+54 9 11 2345-6789"),
    "BY": ("+375152450911", "8 0152 450911", "8 015 245-09-11", "+375 152 45-09-11", "375 152 450911"),
    "PL": ("+48123456789", "12 345 67 89", "12-345-67-89", "123-456-789", "+48 12 345 67 89"),
    "UZ": ("+998912345678", "91 234 56 78", "+998 91-234-56-78", "+998.91.234.56.78", "998 91 234-56-78"),
    "UY": ("+59821231234", "2123-1234", "2123.1234", "+598 2123-1234"),
    "HU": ("+3612345678", "06 1 234 5678", "(06 1) 234-5678", "06-1-234-5678", "+36 1 234 5678"),
}
"""What people write, by country: the number, and some of its spellings."""


@pytest.mark.parametrize(("country", "text"), [(one, text) for one, (_, *texts) in WRITTEN.items() for text in texts])
def test_what_people_write_is_read(country: str, text: str) -> None:
    assert read_number(text, country) == WRITTEN[country][0]
    if text.startswith("+"):
        assert read_number(text) == WRITTEN[country][0]


def test_a_mobile_s_usual_spelling_is_read() -> None:
    assert read_number("0170-1234567", "DE") == read_number("+49 (0)170/1234567".replace("/", " ")) == "+491701234567"


@pytest.mark.parametrize(
    ("text", "country"),
    [
        *(("113812345678", "CN"), ("117012345678", "CN"), ("1213812345678", "CN"), ("0321123456", "CO")),
        *(("081234567", "KR"), ("901123456789", "BR"), ("0141123456789", "BR"), ("01422123456", "BO")),
        *(("01497221234567", "IL"), ("0146561234567", "SG"), ("150628123456", "LU"), ("112015550123", "US")),
        *(("0551123456789", "BR"), ("068522123", "WS"), ("02382211234", "CV")),
        *(("91621234", "CC"), ("2021234", "MG"), ("10609", "NF"), ("4601234", "AG")),
    ],
)
def test_no_digit_is_dropped_for_a_carrier_s_and_none_is_put_before(text: str, country: str) -> None:
    with pytest.raises(NumberError, match=f"is not a possible number of {country}: mend it"):
        read_number(text, country)


DIGITS = st.text("0123456789", min_size=6, max_size=14).filter(lambda text: not text.startswith("00"))


@given(DIGITS, st.sampled_from(REGIONS))
def test_a_number_is_its_digits_less_a_trunk_prefix_or_the_code(text: str, country: str) -> None:
    try:
        number = read_number(text, country)
    except NumberError:
        return
    parsed = phonenumbers.parse(number)
    national = phonenumbers.national_significant_number(parsed)
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    code, trunk = str(parsed.country_code), phonenumbers.ndd_prefix_for_region(country, strip_non_digits=True) or ""
    if text.endswith(national):
        trunks = {"", trunk, "0", "8", "80"}
        assert text.removesuffix(national) in trunks | {f"{code}{one}" for one in trunks}
    else:
        assert text.removeprefix(code).removeprefix(trunk) in re.sub(r"\D", "", written)


@pytest.mark.parametrize(
    ("text", "country"),
    [
        *(
            (text, None)
            for text in ("415 555 0123(5)", "415 555 0123 ( 5 )", "+91 98765 43210 (70)", "+49 30 5550170 (71)")
        ),
        *((text, None) for text in ("415 555 0123-0124", "(415) 555-0125 - 0129", "415.555.0126.0127")),
        *((text, None) for text in ("+49 30 5550170-0171", "+49 (0)30 555017-0171", "+1 415 555 0123 (0124)")),
        *((text, None) for text in ("+91 98765 43210 70", "919876543210 70", "+1415555012345 (6)")),
        *((text, "DE") for text in ("030 5550170-0171", "030 5550170.0171", "0170 1234567 (2)", "030 55501 (55502)")),
        *((text, "DE") for text in ("030 5550170 - 0171", "030 55501-55502", "030 5550170(0)")),
        *((text, "CH") for text in ("415 555 0123-0124", "415.555.0126.0127", "415 555 0123(5)", "415 555 0123 70")),
        *(
            ("98765 43210 (70)", "IN"),
            ("(11) 2345-6789 (80)", "BR"),
            ("0300-1234567 (8)", "PK"),
        ),
    ],
)
def test_a_whole_number_with_more_behind_it_is_two(text: str, country: str | None) -> None:
    with pytest.raises(NumberError, match="looks like two numbers: give each a row of its own"):
        read_number(text, country)


@pytest.mark.parametrize(
    ("text", "country"),
    [("+91 98765 43210-43211", None), ("98765 43210 70", "IN"), ("49 030 1234567", "DE"), ("490301234567", "DE")],
)
def test_what_is_too_long_or_can_be_read_in_two_ways_is_none(text: str, country: str | None) -> None:
    with pytest.raises(NumberError):
        read_number(text, country)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("mark", ["-", ".", " "])
def test_any_mark_may_stand_between_the_groups_of_a_number(region: str, mark: str) -> None:
    """But for a last group that is shorter than the one before, which may be an extension's or a fraction's."""
    for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
        example = phonenumbers.example_number_for_type(region, kind)
        for form in (phonenumbers.PhoneNumberFormat.NATIONAL, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
            first, *groups = re.split("[ -]", phonenumbers.format_number(example, form)) if example else [""]
            if not groups or (mark != " " and len(groups[-1]) < min(4, len((groups[-2:-1] or [first])[0]))):
                continue
            if mark == "." and len(groups) == 2 and groups[-1] == "00":
                continue  # Greenland's example: 32 10.00 has a fraction
            text = " ".join((first, mark.join(groups)))
            assert read_number(text, region) == f"+{example.country_code}{digits_only(_national(example))}", text


def _national(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.national_significant_number(number)


@pytest.mark.parametrize(("text", "country"), [("63 01 23 43.00", "US"), ("99 12 55 96.00", "GB"), ("32 10,0", "GL")])
def test_a_fraction_of_zeros_behind_groups_is_no_part_of_the_number(text: str, country: str) -> None:
    with pytest.raises(NumberError, match="has the fraction"):
        read_number(text, country)


@pytest.mark.parametrize(
    ("text", "country", "whole"),
    [("212345678", "IT", "+39 02 1234 5678"), ("212,345,678", "IT", "+39 02"), ("680127476", "HU", "+36 80 127 476")],
)
def test_a_number_that_lost_its_zero_is_read_in_two_ways(text: str, country: str, whole: str) -> None:
    with pytest.raises(NumberError, match=f"can be read in two ways.*{re.escape(whole)}"):
        read_number(text, country)
    assert read_number(f"0{text.replace(',', '')}" if country == "IT" else f"06{text[1:]}", country)


@pytest.mark.parametrize("text", ["46353", "12345", "46353.0", "123456"])
def test_what_is_too_short_to_be_sure_and_not_valid_is_no_number(text: str) -> None:
    with pytest.raises(NumberError, match="is too short for a number of DE"):
        read_number(text, "DE")


def test_a_short_number_that_is_valid_is_one() -> None:
    assert read_number("1234567", "IS") == "+3541234567"


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("4400 2079460123", "GB"),
        ("3300123456789", "FR"),
        ("9100 98765 43210", "IN"),
        ("36 0606 1 234 5678", "HU"),
        ("0606 1 234 5678", "HU"),
    ],
)
def test_a_trunk_prefix_stands_in_a_number_once(text: str, country: str) -> None:
    with pytest.raises(NumberError):
        read_number(text, country)
