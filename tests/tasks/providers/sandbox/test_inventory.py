from __future__ import annotations

from itertools import islice
from uuid import NAMESPACE_OID, uuid5

import pytest

from schemas.numbering.numbers import parse_e164
from tasks.providers.sandbox.inventory import Inventory, is_possible

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
    numbers = list(islice(Inventory().candidates("vogent", country, prefix), 25))
    assert len(set(numbers)) == 25
    assert all(number.startswith(start) and parse_e164(number) == number for number in numbers)


def test_a_whole_number_offers_itself_first() -> None:
    assert list(Inventory().candidates("bird", "US", NUMBER[2:])) == [NUMBER]
    assert next(iter(Inventory().candidates("bird", "DE", "30123456"))) == "+4930123456"


def test_stock_is_offered_by_country_and_prefix() -> None:
    inventory = Inventory()
    inventory.restrict("bird", [NUMBER, "+16135550100", "+442071234567"])
    assert list(inventory.candidates("bird", "US", "")) == [NUMBER]
    assert list(inventory.candidates("bird", "CA", "613")) == ["+16135550100"]
    assert list(inventory.candidates("bird", "GB", "21")) == []
    assert not inventory.sells("bird", "+14155550199")
    assert inventory.sells("vogent", "+14155550199")


def test_an_unknown_country_offers_nothing() -> None:
    assert list(Inventory().candidates("bird", "XX", "")) == []


def test_a_stock_item_must_have_been_shown() -> None:
    inventory = Inventory()
    item = str(uuid5(NAMESPACE_OID, NUMBER))
    assert inventory.shown(item) is None
    assert inventory.show(NUMBER) == item
    assert inventory.shown(item.upper()) == NUMBER


def test_possible_is_a_matter_of_length() -> None:
    assert is_possible(NUMBER)
    assert not is_possible("+1415")
