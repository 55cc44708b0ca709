from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.providers.transport.answers import (
    MAX_RETRY_AFTER,
    e164,
    entries,
    fields,
    identifier,
    retry_after,
    same_number,
)

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("999999999", MAX_RETRY_AFTER),
        ("99999999999999999999", None),
        ("-5", None),
        ("1e3", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("5, 7", None),
        ("\N{ARABIC-INDIC DIGIT FIVE}", None),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2026 07:28:30", 30.0),
        ("Wed, 21 Oct 2026 07:00:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:00:00 GMT", MAX_RETRY_AFTER),
        ("Wed, 99 Oct 2026 07:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_one_day(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text, "date": DATE}) == seconds


def test_retry_after_may_be_absent() -> None:
    assert retry_after({}) is None


def test_a_date_counts_from_our_clock_where_the_answer_has_none() -> None:
    assert retry_after({"retry-after": "Wed, 21 Oct 2099 07:00:00 GMT"}) == MAX_RETRY_AFTER
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:00:00 GMT", "date": "garbage"}) == 0.0


@given(st.text(), st.text())
def test_retry_after_never_raises_and_stays_in_its_bounds(text: str, date: str) -> None:
    seconds = retry_after({"retry-after": text, "date": date})
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@pytest.mark.parametrize("value", ["+14155550100", "14155550100", 14155550100, " +1 (415) 555-0100", "+1.415.555.0100"])
def test_the_same_number_in_other_spellings(value: Any) -> None:
    assert same_number(value, "+14155550100")
    assert e164(value) == "+14155550100"


@pytest.mark.parametrize(
    "value",
    [
        *("+14155550101", "4155550100", "+141555501000", "0014155550100", "x14155550100", "+14155550100 ext 5", ""),
        *(-14155550100, 14155550100.0, True, None, [], {}, ["+14155550100"]),
        "\N{ARABIC-INDIC DIGIT ONE}4155550100",
    ],
)
def test_another_number_or_none_at_all(value: Any) -> None:
    assert not same_number(value, "+14155550100")


@pytest.mark.parametrize("value", ["+1", "+999123456789", "sip-user", None, 5])
def test_what_is_no_number_has_no_e164_form(value: Any) -> None:
    assert e164(value) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [("abc", "abc"), (7, "7"), (True, None), ("", None), ("a\x00b", None), ("x" * 201, None), (1.5, None), ([], None)],
)
def test_an_identifier_is_short_text_or_a_whole_number(value: Any, text: str | None) -> None:
    assert identifier(value) == text


def test_objects_and_lists_are_read_from_anything() -> None:
    assert fields([1]) == {}
    assert entries({"a": 1}) == []
    assert entries([1, {"a": 1}, None]) == [{"a": 1}]


def test_a_providers_digits_have_one_reading() -> None:
    assert e164("6465550123") == e164(6465550123) == "+6465550123"
