from __future__ import annotations

from itertools import islice
from uuid import NAMESPACE_OID, uuid5

import pytest

from schemas.numbers import parse_e164
from tasks.providers.sandbox.stock import Shelf, is_possible

NUMBER = "+14155550100"


@pytest.mark.parametrize(
    ("country", "prefix", "start"),
    [
        ("US", "415", "+1415"),
        ("US", "", "+1"),
        ("GB", "20", "+4420"),
        ("IN", "98765", "+9198765"),
        ("DE", "30", "+4930"),
    ],
)
def test_offers_possible_numbers_of_the_prefix(country: str, prefix: str, start: str) -> None:
    numbers = list(islice(Shelf().candidates("vogent", country, prefix), 25))
    assert len(set(numbers)) == 25
    assert all(number.startswith(start) and parse_e164(number) == number for number in numbers)


def test_a_whole_number_offers_itself_first() -> None:
    assert list(Shelf().candidates("bird", "US", NUMBER[2:])) == [NUMBER]
    assert next(iter(Shelf().candidates("bird", "DE", "30123456"))) == "+4930123456"


def test_stock_is_offered_by_country_and_prefix() -> None:
    shelf = Shelf()
    shelf.restrict("bird", [NUMBER, "+16135550100", "+442071234567"])
    assert list(shelf.candidates("bird", "US", "")) == [NUMBER]
    assert list(shelf.candidates("bird", "CA", "613")) == ["+16135550100"]
    assert list(shelf.candidates("bird", "GB", "21")) == []
    assert not shelf.sells("bird", "+14155550199")
    assert shelf.sells("vogent", "+14155550199")


def test_an_unknown_country_offers_nothing() -> None:
    assert list(Shelf().candidates("bird", "XX", "")) == []


def test_a_stock_item_must_have_been_shown() -> None:
    shelf = Shelf()
    item = str(uuid5(NAMESPACE_OID, NUMBER))
    assert shelf.shown(item) is None
    assert shelf.show(NUMBER) == item
    assert shelf.shown(item.upper()) == NUMBER


def test_possible_is_a_matter_of_length() -> None:
    assert is_possible(NUMBER)
    assert not is_possible("+1415")
