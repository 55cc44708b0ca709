"""Numbers that a record names in any key, and what only looks like one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tasks.providers.reading.mentions import Mentions
from tests.tasks.providers.adapters import ID, NUMBER, OTHER

BRITISH = "+442071234567"
SAME_DIGITS = "+494155550100"
HELENA = "+29022222"
ISLANDER = "+6723123456"


def mentioned(record: Any, *numbers: str, own: str = OTHER) -> set[str]:
    return set(Mentions(numbers or (NUMBER,)).within(record, own))


@pytest.mark.parametrize(
    "text",
    [
        *(NUMBER, "14155550100", 14155550100, 14155550100.0, 4155550100, "4155550100", "(415) 555-0100"),
        *(
            "415.555.0100",
            "415/555/0100",
            "415_555_0100",
            "+1\xa0415\u2011555\u20110100",
            "1-415-555-0100",
            "0014155550100",
        ),
        *("011 1 415 555 0100", f"tel:{NUMBER}", f"sip:{NUMBER}@example.com;user=phone", f"{NUMBER} ext. 5"),
        *(
            f"{OTHER} {NUMBER}",
            f"{OTHER},{NUMBER}",
            f"main line {NUMBER}, Ann",
            "\u202a+14155550100\u202c",
            "id-14155550100",
        ),
        *(
            "4155550100 4155550101",
            "9,4155550100",
            "\uff0b\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff10\uff11\uff10\uff10",
        ),
    ],
)
def test_a_number_is_found_in_any_spelling_at_any_depth(text: Any) -> None:
    for record in ({"msisdn": text}, {"a": {"b": [{"formatted_number": text}]}}, [[text]]):
        assert mentioned(record) == {NUMBER}
        assert mentioned(record, OTHER, BRITISH) <= {OTHER}
    assert mentioned({str(text): None}) == {NUMBER}


@pytest.mark.parametrize(
    "record",
    [
        *(
            {},
            None,
            True,
            [],
            {"a": None, "b": True, "c": [{}]},
            0,
            -1.5,
            {"id": ID, "uuid": "4f155550-1004-4155-8550-a100"},
        ),
        *({"created_at": "2026-10-04T15:55:01.004155Z"}, {"billed": 1764155550}, {"name": "415 555"}, {"zip": "55501"}),
        *({"e164": OTHER}, {"name": "(415) 555-0101"}, {"to": "+1415555010"}, {"masked": "+1415555****"}),
        *({"from": "+1 415 555, 0100"}, {"a": "415555", "b": "0100"}),
    ],
)
def test_another_number_is_no_mention(record: Any) -> None:
    assert mentioned(record) == set()


@pytest.mark.parametrize("text", ["020 7123 4567", "+44 (0)20 7123 4567", "00442071234567", "442071234567"])
def test_a_trunk_zero_is_part_of_a_spelling(text: str) -> None:
    assert mentioned({"a": text}, BRITISH) == {BRITISH}


def test_an_entry_may_spell_its_own_number_though_it_has_the_digits_of_another() -> None:
    longer = f"{NUMBER}9"
    for text in (longer, longer[1:], f"00{longer[1:]}"):
        assert mentioned({"name": text}, NUMBER, own=longer) == set()
    for text in (SAME_DIGITS, "4155550100", "04155550100", 4155550100):
        assert mentioned({"name": text}, NUMBER, SAME_DIGITS, own=SAME_DIGITS) == set()
    assert mentioned({"name": NUMBER}, NUMBER, own=SAME_DIGITS) == {NUMBER}
    assert mentioned({"name": "4155550100"}, NUMBER, SAME_DIGITS) == {NUMBER, SAME_DIGITS}
    assert mentioned({"name": f"{NUMBER} 9"}, NUMBER, own=NUMBER) == set()


def test_a_short_national_number_is_looked_for_with_its_country_code() -> None:
    assert mentioned({"a": "22222", "id": "7f22222-22222"}, HELENA) == set()
    assert mentioned({"a": "(290) 22222"}, HELENA) == {HELENA}
    assert mentioned({"a": "+672 3 123456", "b": "123456"}, ISLANDER) == {ISLANDER}


def test_what_is_deep_or_long_is_read_in_time() -> None:
    deep: Any = NUMBER
    for _ in range(20_000):
        deep = [deep]
    began = time.monotonic()
    assert mentioned(deep) == {NUMBER}
    assert mentioned([" 1" * 200_000, "1 (" * 100_000, "1" + " " * 300_000, "-" * 300_000]) == set()
    assert time.monotonic() - began < 5
