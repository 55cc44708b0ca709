"""Pages of lists: what is read of them, and what keeps them from being whole."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import LookKind
from tasks.providers.adapter import ProviderError
from tasks.providers.reading.filters import Filter, begins, contains, names
from tasks.providers.reading.list_page import Entry, Listing, Page
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session
from tests.tasks.providers.adapters import ID, NUMBER, OTHER, TOKEN, config

LISTING = Listing(
    entries="data",
    needs=("cursor",),
    may=("total", "total_is_estimated"),
    ids=("id", "key"),
    kind=lambda record: LookKind.LOST if record.get("lost") else LookKind.OWNED,
    passed_over=lambda record: record.get("type") == "SIP_USERNAME",
    others=("forward",),
)


SESSION = Session("Vogent", config("vogent", "http://127.0.0.1:9"), token=TOKEN, scheme="Bearer")


def read(body: Any, status: int = 200) -> Page:
    return LISTING.page(SESSION, Answer(status=status, headers={}, body=body, text=""), None)


def of(*records: Any, **beside: Any) -> Page:
    return read({"data": list(records), "cursor": None, **beside})


def test_a_page_as_documented_is_whole() -> None:
    page = of({"id": ID, "number": NUMBER}, {"id": None, "key": 7, "number": OTHER, "lost": True}, total=2)
    assert page == Page(entries=[Entry(NUMBER, ID), Entry(OTHER, "7", LookKind.LOST)], total=2)


@pytest.mark.parametrize(
    "record",
    [
        *({"id": ID, "number": value} for value in (None, "", 5, True, [NUMBER], {}, "sip-user", "tel:+14155550100")),
        *({"id": ID, "number": value} for value in ("4155550100", "(415) 555-0100", "0014155550100", "+1415555010")),
        *({"id": ID, "number": value} for value in (f"{NUMBER}, {OTHER}", f"{NUMBER}99999", "+44 (0)20 7123 4567")),
        *({"id": ID, key: NUMBER} for key in ("e164", "numberString", "phone_number", "Number")),
        *({"number": OTHER, "e164": value} for value in (NUMBER, "4155550100", "?", 0, [])),
        *(None, 5, NUMBER, [NUMBER], {}),
    ],
)
def test_an_entry_that_cannot_be_read_is_told_of(record: Any) -> None:
    page = of({"id": ID, "number": OTHER}, record)
    assert page.unread is not None
    assert page.unread.error_code == "unreadable_list"
    assert Entry(OTHER, ID) in page.entries


@pytest.mark.parametrize(
    ("narrows", "asked", "said", "whole"),
    [
        *((begins("number"), asked, "+4930901820", True) for asked in ("+493090182", "4930901820", "49", " 49 30", "")),
        *((begins("number"), asked, "+4930901820", False) for asked in ("+4930901821", "30901820", "+493090182011")),
        *((contains("number"), asked, "+4930901820", True) for asked in ("+4930901820", "30901820", "9018", "")),
        *((contains("number"), asked, "+4930901820", False) for asked in ("+4930901821", "+493090182011", "1820 4")),
        *((begins("number"), "+4930", said, True) for said in ("+49 30 901820", "+49 (30) 901-820")),
        *((names("label"), asked, "The one of May", True) for asked in ("one", "THE ONE", "the one of may", "")),
        *((names("label"), "one", said, False) for said in ("another", "on", "", None, 5, ["one"], {"one": 1})),
    ],
)
def test_an_entry_that_was_not_asked_for_makes_a_page_the_answer_to_another_question(
    narrows: Filter, asked: str, said: Any, whole: bool
) -> None:
    listing = Listing(entries="data", filters={"wanted": narrows})
    record = {"id": ID, "number": OTHER, narrows.key: said}
    for records in ([record], [{**record, "id": "2", "label": "The one of May", "number": "+4930901820"}, record]):
        for params in ({"wanted": asked}, {"other": asked}):
            answer = Answer(status=200, headers={}, body={"data": records}, text="", params=params)
            page = listing.page(SESSION, answer, None)
            assert (page.unread is None) is (whole or "other" in params), page.unread
            assert len(page.entries) == len(records)


def test_each_entry_of_a_list_says_whose_it_is() -> None:
    listing = Listing(entries="data", of={"account": "a-1"})
    ours = {"id": ID, "number": NUMBER, "account": "a-1"}
    for record, whole in ((ours, True), *(({**ours, "account": other}, False) for other in ("a-2", None, 1, ""))):
        page = listing.page(SESSION, Answer(status=200, headers={}, body={"data": [ours, record]}, text=""), None)
        assert (page.unread is None) is whole
        assert page.entries == [Entry(NUMBER, ID)] * 2


@pytest.mark.parametrize("value", ["14155550100", 14155550100, " 1 415 555 0100"])
def test_a_number_without_its_plus_is_shown_and_does_not_count_as_another_s(value: Any) -> None:
    page = of({"id": ID, "number": value})
    assert page.entries == [Entry(NUMBER, ID)]
    assert page.unread is not None


@pytest.mark.parametrize("value", [NUMBER, "+1 415-555-0100", "+1 (415) 555-0100", f" {NUMBER} "])
def test_a_number_with_its_plus_is_read_in_any_spelling(value: str) -> None:
    assert of({"id": ID, "number": value, "e164": NUMBER}) == Page(entries=[Entry(NUMBER, ID)])


def test_what_is_documented_as_no_number_is_passed_over() -> None:
    passed = [{"number": name, "type": "SIP_USERNAME"} for name in ("sip-user", "1001")]
    assert of(*passed) == Page(entries=[Entry("")] * 2)
    assert of({"number": "sip-user", "type": "PSTN"}).unread is not None


def test_an_entry_keeps_what_else_its_record_says() -> None:
    entry, passed = of(
        {"id": ID, "number": OTHER, "forward": NUMBER, "label": {"a": [1]}},
        {"number": "sip-user", "type": "SIP_USERNAME", "forward": NUMBER, "label": 5},
    ).entries
    assert entry.rest == {"id": ID, "label": {"a": [1]}}
    assert passed.rest == {"type": "SIP_USERNAME", "label": 5, "number": ""}


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("14155550100", "14155550100"),
        ("agent415-desk-5550100", "4155550100"),
        ("\u0664\u00b9\uff155550100", "4155550100"),
    ],
)
def test_of_a_name_that_is_passed_over_the_digits_are_kept(name: str, digits: str) -> None:
    page = of({"number": name, "type": "SIP_USERNAME"})
    assert page == Page(entries=[Entry("")])
    assert page.entries[0].rest["number"] == digits


def test_what_may_be_a_number_is_not_passed_over_by_its_type() -> None:
    assert of({"id": ID, "number": NUMBER, "type": "SIP_USERNAME"}) == of({"id": ID, "number": NUMBER})
    masked = ("1415555XXXX", "1415xxx0100", "1415555####", "1415555____", "1415555\u2022\u2022", "1415555\u2026")
    for number in (None, "", [NUMBER], f"tel:{NUMBER}", "+1415555****", "+1\xa0415\xa0555\xa00100", *masked):
        assert of({"number": number, "type": "SIP_USERNAME"}).unread is not None
    for key in ("e164", "numberString", "phone_number", "phoneNumber"):
        assert of({"number": "sip-user", key: NUMBER, "type": "SIP_USERNAME"}).unread is not None


@pytest.mark.parametrize(
    "beside",
    [
        *({"errors": value} for value in (["x"], [{}], "x", {"a": 1}, True, 0, False)),
        *({key: "x"} for key in ("error", "message", "warning", "next", "results", "items")),
        *({"partial": True}, {"success": False}, {"total": "2"}, {"total": -1}, {"total": True}, {"total": []}),
    ],
)
def test_a_foreign_word_beside_the_list_is_told_of(beside: Any) -> None:
    page = of({"id": ID, "number": NUMBER}, **beside)
    assert page.entries == [Entry(NUMBER, ID)]
    assert page.unread is not None
    assert page.total is None


@pytest.mark.parametrize("beside", [{"errors": []}, {"error": None}, {"message": ""}, {"meta": {}}])
def test_a_foreign_key_that_holds_nothing_says_nothing(beside: Any) -> None:
    assert of({"id": ID, "number": NUMBER}, **beside) == Page(entries=[Entry(NUMBER, ID)])


def test_a_key_that_is_always_there_must_be_there() -> None:
    page = read({"data": []})
    assert page.unread is not None
    assert "no 'cursor' beside its list" in (page.unread.error or "")


@pytest.mark.parametrize("body", [None, {}, [], "", 5, {"items": []}, {"data": None}, {"data": {}}, {"data": "x"}])
def test_without_a_list_there_is_no_page(body: Any) -> None:
    with pytest.raises(ProviderError, match="no list as documented"):
        read(body)


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206])
def test_a_list_is_documented_with_200_alone(status: int) -> None:
    with pytest.raises(ProviderError):
        read({"data": [], "cursor": None}, status)


def test_what_is_told_of_is_free_of_secrets() -> None:
    page = of({"id": ID, "number": f"x{TOKEN}"})
    assert page.unread is not None
    assert TOKEN not in repr(page.unread)
