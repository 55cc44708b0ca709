"""Each row checked, and against all rows before it."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from schemas.requests import BuyNumber
from tasks.orderfile import Line, Problem
from tasks.orderfile.check import Checker
from tasks.orderfile.values import Row
from tasks.providers.registry import kinds

from .reading import HEADER, lines, read, told


def test_the_same_purchase_twice_is_told_on_the_later_line():
    found = read(HEADER + "+14155550100,bird,\n+14155550101,bird,\n1 415 555-0100,bird,k\n+14155550100,vogent,\n")
    assert [item.line for item in found if isinstance(item, Line)] == [2, 3, 5]
    assert found[2] == Problem(4, "number", "is line 2 again, +14155550100: remove one of them")


def test_a_number_of_several_providers_is_told_where_it_was_first_and_where_it_is_again():
    rows = ["bird", "vogent", "fluents", "vogent", "bird"]
    found = read(HEADER + "".join(f"+14155550100,{provider},\n" for provider in rows))
    assert [(one.line, one.also) for one in found if isinstance(one, Line)] == [(2, None), (3, 2), (4, 2)]
    again = [(one.line, one.message.partition(",")[0]) for one in found if isinstance(one, Problem)]
    assert again == [(5, "is line 3 again"), (6, "is line 2 again")]


def test_a_row_takes_few_bytes_to_remember():
    checker, count = Checker({"bird": kinds()["bird"]}, None, None), 20_000
    tracemalloc.start()
    for line in range(1, count + 1):
        # as files are read: each row has texts of its own
        fields = {"number": f"+1212{line + 2_000_000}", "provider": "".join(["bi", "rd"])}
        assert len([*checker.check(Row(line, fields))]) == 1
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / count < 260


def test_a_key_for_two_purchases_is_told_on_the_later_line():
    assert told(HEADER + "+14155550100,bird,k\n+14155550101,bird,k\n") == [
        (3, "idempotency_key", "is the key of line 2 already: a key is for one purchase")
    ]


def test_a_line_with_a_problem_repeats_nothing():
    found = read(HEADER + "+14155550100,bird,a b\n+14155550100,bird,k\n")
    assert [type(item) for item in found] == [Problem, Line]


def test_every_problem_of_a_line_is_told():
    assert [(line, column) for line, column, _ in told(HEADER + "4155550100,brid,\n+14155550100,bird,a b\n,,\n")] == [
        (2, "number"),
        (2, "provider"),
        (3, "idempotency_key"),
    ]


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (",bird,", "number", "'' is empty: a phone number is needed here"),
        ("4155550100,bird,", "number", "'4155550100' has no country code: write +"),
        ("1.41556E+10,bird,", "number", "'1.41556E+10' was rounded by a spreadsheet"),
        ("+14155550100,brid,", "provider", "'brid' is not configured: did you mean 'bird'?"),
        ("+14155550100," + "x" * 41 + ",", "provider", "is too long: 40 characters at most"),
        ("+14155550100,bird,\u00e9", "idempotency_key", "has a character that it cannot have"),
    ],
)
def test_a_problem_says_what_and_the_mend(row, column, message):
    ((line, at, found),) = told(HEADER + row)
    assert (line, at) == (2, column)
    assert found.startswith(message)


def test_the_country_is_for_numbers_without_their_code():
    found = lines(HEADER + "(415) 555-0100,bird,\n'+442079460958,bird,\n", country="US")
    assert [line.request.number for line in found] == ["+14155550100", "+442079460958"]


def test_what_is_read_is_what_a_message_would_be():
    source = json.dumps(
        [
            {"number": "+1 415 555 0100", "provider": "fluents", "options": {"inbound_agent": "Ann"}},
            {"number": 14155550101, "provider": "bird", "metadata": {"a": 1}, "idempotency_key": "k"},
        ]
    )
    for line in lines(source, "x.json"):
        assert BuyNumber.model_validate_json(line.request.model_dump_json()) == line.request
        assert BuyNumber.model_validate(line.request.model_dump()).fingerprint == line.request.fingerprint
