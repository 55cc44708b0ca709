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
        *("415%20555%200100", "tel:%2B1%20415%20555%200100", "%2B14155550100", "&#43;1&nbsp;415&nbsp;555&nbsp;0100"),
        *(
            "+1\u200b415\u200b555\u200b0100",
            "415\u00ad555\u00ad0100",
            "415\u2060555\u20600100",
            "415\u200e555\u200e0100",
        ),
        *(
            "415:555:0100",
            "415~555~0100",
            "415'555'0100",
            "415*555*0100",
            "415|555|0100",
            "415;555;0100",
            "415\u2022555\u20220100",
        ),
        *("0.0.1.0.5.5.5.5.1.4.1.e164.arpa", "0.0.1.0.5.5.5.5.1.4.1.E164.ARPA."),
        *(
            "".join(f"{digit}\ufe0f\u20e3" for digit in "4155550100"),
            "\u2074\u00b9\u2075\u2075\u2075\u2075\u2070\u00b9\u2070\u2070",
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
        *({"a": ["4155550", "x", "100"]}, {"a": "41555&50100"}, {"ip": "10.0.0.1"}, {"a": "0.1.5.5.e164.arpa"}),
        *({"from": "+1 415 555, 0100"}, {"a": "415555", "b": "0100"}),
    ],
)
def test_another_number_is_no_mention(record: Any) -> None:
    assert mentioned(record) == set()


PARTS: list[list[Any]] = [["+1", "415", "555", "0100"], [*"14155550100"], [1, 415, "5550100"], ["415", 5550100]]


@pytest.mark.parametrize("parts", PARTS)
def test_a_number_is_found_part_by_part_in_a_list(parts: Any) -> None:
    for record in ({"a": parts}, {"a": {"b": [parts, "x"]}}):
        assert mentioned(record) == {NUMBER}
        assert mentioned(record, OTHER) == set()
    assert mentioned({"a": [*parts, "x"]}) == mentioned({"a": ["41555", {}, "50100"]}) == set()


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
    began = time.thread_time()
    assert mentioned(deep) == {NUMBER}
    assert mentioned([" 1" * 200_000, "1 (" * 100_000, "1" + " " * 300_000, "-" * 300_000]) == set()
    moment = "2026-06-15 14:03:11"
    assert mentioned([f"{moment} " * 20_000, f"{moment[:10]} " * 20_000 + "5", f"{moment}{' ' * 300_000}5"]) == set()
    assert mentioned(["a5550100" * 40_000, "a" * 300_000, "a5550100-" * 40_000, "AB " * 100_000]) == set()
    # a slow machine takes ten, and what is not linear takes hours
    assert time.thread_time() - began < 30


WASHINGTON, DANE, ICELANDER = "+12026061514", "+4520260615", "+3545550100"
AMONG = (WASHINGTON, DANE, ICELANDER, "+4515140311", "+4526061514", "+12606151403", "+3540311004", NUMBER)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-06-15", "2026-06-15T14:03:11Z", "2026-06-15 14:03:11", "2026-06-15  14:03", "2026/06/15 14:03:11"),
        *("2026-06-15T14:03:11.004155550+02:00", "2026-06-15 14:03:11,004 -0700", "2026-06-15t14:03:11-07"),
        *(
            "2026-06-15 14:03:11 UTC",
            "2026-06-15 14:03:11.5 +0000 UTC",
            "20260615T140311Z",
            "20260615T140311.004155+0200",
        ),
        *("2026-06-15/2026-06-16", "2026-06-15 14:03:11 - 2026-06-15 15:14:03", "2026-06-15 (2026-06-15T14:03:11Z)"),
        *("since 2026-06-15 14:03:11, by Ann", "from_2026-06-15_on"),
        *(
            "5550100f-1004-4155-8550-a10055501000",
            "FA5550100F1004415585a10055501000",
            "id:5550100f-1004-4155-8550-a10055501000",
        ),
        *("a555010000000000", "PNa5550100f1004415585a10055501000a", "41555501-0026-1234-5678-415555010000"),
        *("14:03:11", "at 14:03:11.004155550", "14:03:11,004155550 - 15:14:03", "from 06:15:14.3540311 on"),
        *("f5550100f1004415585a1005", "urn:uuid:5550100f-1004-4155-8550-a10055501000", "num_a5550100f1004415585a1005"),
    ],
)
def test_a_moment_or_an_id_is_no_mention(text: str) -> None:
    for record in ({"a": text}, {text: 1}, {"at": [f"it was {text}."]}):
        assert mentioned(record, *AMONG) == set(), text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *((text, WASHINGTON) for text in ("202-606-1514", "(202) 606-1514", "2026061514", "+1 2026-06-15 14")),
        *((text, WASHINGTON) for text in ("2026-06-15 14", "2026-06-1514", "1 2026-06-15 14:03", "2026-06-15-14:03")),
        *(
            (text, DANE)
            for text in ("20 26 06 15", "20260615", 20260615, "+45 2026-06-15", "0045 2026-06-15", "2026 06 15")
        ),
        *(
            (text, DANE)
            for text in ("+2026-06-15", "+ 2026-06-15", "45-2026-06-15", "2026-0615", "20260615T", "20-26-06-15")
        ),
        *(
            (f"{moment}{between}{NUMBER[1:]}", NUMBER)
            for moment in ("2026-06-15", "2026-06-15 14:03:11")
            for between in " -/"
        ),
        *((f"{NUMBER}{between}2026-06-15 14:03:11", NUMBER) for between in (" ", ", ", " since ", "T")),
        *((f"2026-06-15T14:03:11Z {NUMBER}", NUMBER), ("2026-06-15 14:03:11.4155550100", NUMBER)),
        *((text, NUMBER) for text in ("4155550100a", "14155550100deadbeef", "0000014155550100", "id_4155550100-abc")),
        *((f"5550100f-1004-4155-8550-a10055501000{between}{NUMBER}", NUMBER) for between in (" ", "/", ":")),
        *((text, ICELANDER) for text in ("555 0100", "555-0100", "5550100", "354 5550100", "5550100f", "5550100-f-a")),
    ],
)
def test_a_number_is_found_though_it_looks_like_a_moment_or_an_id(text: Any, number: str) -> None:
    assert mentioned({"a": text}, number) == {number}
    assert mentioned({str(text): 1}, number) == {number}
