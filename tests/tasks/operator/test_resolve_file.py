"""Files of decisions: what is read, and what is refused with line, column and mend."""

from __future__ import annotations

import io
import json

import pytest

from schemas.settling import Verdict
from tasks.ledger.resolve import Resolution
from tasks.operator.resolve_file import read_decisions
from tasks.orderfile import OrderFileError, Problem

A, B = "0190a0a0-0000-7000-8000-00000000000a", "0190a0a0-0000-7000-8000-00000000000b"


def read(content: str | bytes, name: str = "decisions.csv") -> list[Resolution | Problem]:
    return list(read_decisions(io.BytesIO(content.encode() if isinstance(content, str) else content), name))


def problems(content: str, name: str = "decisions.csv") -> list[tuple[int, str | None, str]]:
    found = [item for item in read(content, name) if isinstance(item, Problem)]
    return [(one.line, one.column, one.message) for one in found]


def test_a_table_is_read_with_its_lines() -> None:
    assert read(f'id,decision,provider_number_id,note\n{A},bought,PN1,"seen, there"\n\n{B},retry,,\n') == [
        Resolution(purchase_id=A, verdict=Verdict.BOUGHT, provider_number_id="PN1", note="seen, there", line=2),
        Resolution(purchase_id=B, verdict=Verdict.RETRY, line=4),
    ]


def test_objects_are_read_too() -> None:
    lines = [{"id": A, "decision": "fail", "note": "gone"}, {"id": B, "decision": "bought", "provider_number_id": 42}]
    assert read("\n".join(map(json.dumps, lines)), "decisions.ndjson") == [
        Resolution(purchase_id=A, verdict=Verdict.FAIL, note="gone", line=1),
        Resolution(purchase_id=B, verdict=Verdict.BOUGHT, provider_number_id="42", line=2),
    ]


@pytest.mark.parametrize(
    "content",
    [
        f"decision;ID\nFAIL;{A}\n",
        f"\ufeffID\tDecision\n{A}\tfail\n",
        f" id , decision \n {A.upper()} , Fail \n",
        f"id,decision\r\n{A.replace('-', '')},fail\r\n",
        f'{{"id": "{A}", "decision": "fail", "note": null}}',
        f"sep=;\r\nid;decision\r\n{A};fail\r\n",
        f"\ufeff\ufeffid\u200b,de\u00adcision,,\n,,,\n\u2003{A}\u00a0,\ufefffail,,\n\x1a",
        f",,id,decision,Provider Number ID,note\n,,{A},fail\n",
    ],
)
def test_other_spellings_are_read(content: str) -> None:
    [one] = read(content, "-")
    assert isinstance(one, Resolution)
    assert (one.purchase_id, one.verdict) == (A, Verdict.FAIL)


def test_the_version_is_read_that_was_decided_on() -> None:
    rows = f"id,decision,version\n{A},fail,r7-64f0a\n{B},fail,\n"
    assert [item.version for item in read(rows) if isinstance(item, Resolution)] == ["r7-64f0a", None]
    [told] = problems(f"id,decision,version\n{A},fail,7.5E+12\n")
    assert told == (2, "version", "'7.5E+12' is no version: leave it as it was exported")


def test_an_export_is_read_where_decisions_were_written_into_it() -> None:
    lines = [
        "line;number;provider;status;provider_number_id;purchase_id;metadata;decision;note",
        f"1;+14155550100;bird;held;'=PN1;{A};{{}};bought;there",
        f"2;+14155550100;bird;held;'=PN1;{A};{{}};bought;there",
        f"3;+14155550101;bird;purchased;PN2;{B};{{}};;",
        f"4;14155550102;bird;held;PN3;{B};{{}};retry;",
    ]
    assert read("\n".join(lines)) == [
        Resolution(
            purchase_id=A,
            verdict=Verdict.BOUGHT,
            provider_number_id="=PN1",
            note="there",
            line=2,
            number="+14155550100",
        ),
        Resolution(purchase_id=B, verdict=Verdict.RETRY, line=5, number="14155550102"),
    ]


def test_two_lines_of_an_export_that_contradict_each_other_are_both_told() -> None:
    rows = f'[{{"purchase_id": "{A}", "decision": "fail"}}, {{"purchase_id": "{A}", "decision": "bought"}}]'
    assert [one.line for one in read(rows, "decisions.json")] == [1, 2]


def test_a_number_stands_for_its_purchase() -> None:
    [one] = read("id,decision\n+1 415 555 0100,fail\n")
    assert isinstance(one, Resolution)
    assert one.purchase_id == "+1 415 555 0100"


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("id\n" + A, [(1, "decision", "the column is missing")]),
        (f"purchase_id,status\n{A},held", [(1, "decision", "the column is missing")]),
        (f"purchase_id,decision,colour\n{A},fail,red", [(1, "colour", "is no column")]),
        (f"purchase_id,id,decision\n{A},{A},fail", [(1, "purchase_id", "is no column")]),
        (f"purchase_id,decision\n{A},perhaps", [(2, "decision", "'perhaps' is no decision")]),
        (
            f"id,decision,provider_number_id\n{A},bought,1.23E+19",
            [(2, "provider_number_id", "was computed by a spreadsheet")],
        ),
        ("decision\nfail", [(1, "id", "the column is missing")]),
        (f"id,decision,colour\n{A},fail,red", [(1, "colour", "is no column: known are id, decision")]),
        (f"id,decision,id\n{A},fail,{A}", [(1, "id", "there twice")] * 2),
        (f"id,decision\n{A}", [(2, "decision", "'' is no decision")]),
        (f"id,decision\n{A},fail,red", [(2, None, "has 'red' beside the table, in a column without a name")]),
        (f"id,decision,\n{A},fail,red", [(2, None, "has 'red' beside the table, in a column without a name")]),
        (f"id,decision\n{A},perhaps", [(2, "decision", "'perhaps' is no decision: write one of bought, retry, fail")]),
        (f"id,decision\n{A},adopted", [(2, "decision", "is no decision")]),
        ("id,decision\n0190a0a0,fail", [(2, "id", "'0190a0a0' is no id of a purchase: give the whole id")]),
        ("id,decision\n,fail", [(2, "id", "is no id")]),
        (f"id,decision,provider_number_id\n{A},fail,PN1", [(2, "provider_number_id", "goes with the decision bought")]),
        (f"id,decision,provider_number_id\n{A},bought,{'9' * 201}", [(2, "provider_number_id", "at most 200")]),
        (f"id,decision,note\n{A},fail,{'n' * 501}", [(2, "note", "longer than 500 characters: shorten it")]),
        (f"id,decision\n{A},no\n{B},fail\n{B},no", [(2, "decision", "is no"), (4, "decision", "is no")]),
    ],
)
def test_what_is_wrong_in_a_table(content: str, wanted: list[tuple[int, str | None, str]]) -> None:
    found = problems(content)
    assert [one[:2] for one in found] == [one[:2] for one in wanted]
    assert all(words in message for (_, _, message), (_, _, words) in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("content", "column", "words"),
    [
        ("[]", None, "is not a JSON object: write one on each line"),
        ("{", None, "is not a JSON object"),
        (f'{{"id": "{A}"}}', "decision", "is no decision"),
        (f'{{"id": ["{A}"], "decision": "fail"}}', "id", "is no id of a purchase"),
        (f'{{"id": "{A}", "decision": "fail", "status": "held"}}', "status", "is no column"),
    ],
)
def test_what_is_wrong_in_an_object(content: str, column: str | None, words: str) -> None:
    [(line, found, message)] = problems(content, "decisions.ndjson")
    assert (line, found) == (1, column)
    assert words in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "decisions.csv: is empty: the first line names the columns, like id,decision"),
        (b"id,decision\n", "decisions.csv: has no rows: nothing to settle"),
        (b"id,decision\n,\n", "decisions.csv: has no rows: nothing to settle"),
        (f"purchase_id,decision\n{A},\n".encode(), "has no decision: write one of bought, retry, fail"),
        (b"PK\x03\x04", "save it as 'CSV UTF-8'"),
        (b"id,decision\n\xff\xfe,fail\n", "is not UTF-8 text"),
        (f'id,decision,note\n{A},fail,"open\n'.encode(), "its quotes do not match"),
    ],
)
def test_a_file_that_cannot_be_read(content: bytes, message: str) -> None:
    with pytest.raises(OrderFileError, match=message):
        read(content)
