from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import Candidate
from tasks.providers.adapter import ProviderError, SearchQuery, Unsupported
from tasks.providers.reading.searches import international_prefix, of_number, offered, page_size
from tests.schemas.prices import a_month

PRICE = a_month("1.00 USD")


@pytest.mark.parametrize(
    ("country", "prefix", "wanted"), [("US", "415", "+1415"), ("CA", "", "+1"), ("GB", "20", "+4420")]
)
def test_the_prefix_in_international_form(country: str, prefix: str, wanted: str) -> None:
    assert international_prefix(SearchQuery(country=country, prefix=prefix)) == wanted


@pytest.mark.parametrize("country", ["XX", "", "us"])
def test_a_country_that_is_none_is_refused(country: str) -> None:
    with pytest.raises(Unsupported, match="no country"):
        international_prefix(SearchQuery(country=country))


@pytest.mark.parametrize(("limit", "size"), [(-1, 1), (0, 1), (5, 5), (10, 10), (11, 10)])
def test_a_limit_stays_within_the_page_s(limit: int, size: int) -> None:
    assert page_size(SearchQuery(limit=limit), 10) == size


@pytest.mark.parametrize(
    ("value", "country", "prefix", "number"),
    [
        ("14155550100", "US", "415", "+14155550100"),
        ("+14155550100", "US", "", "+14155550100"),
        ("+14155550100", "US", "212", None),
        ("+14155550100", "CA", "", None),
        ("+14165550100", "CA", "", "+14165550100"),
        ("+442071234567", "US", "", None),
        ("sip", "US", "", None),
        (None, "US", "", None),
    ],
)
def test_only_what_was_asked_for_is_offered(value: Any, country: str, prefix: str, number: str | None) -> None:
    found = offered(value, SearchQuery(country=country, prefix=prefix), price=PRICE, stock="s")
    assert found == (number and Candidate(number=number, price=PRICE, stock_item_id="s"))


@pytest.mark.parametrize(
    ("shown", "own"),
    [
        ([], 0),
        (["+4930901820"], 1),
        (["49 30 901820", "+493090182011"], 1),
        (["+493090182011"], 0),
        (["+14155550101", "+4930901820"], 1),
        *(([other], None) for other in ("+14155550101", "+493090182", "+4930901821", None, "x")),
        (["+493090182011", "+4930901821"], None),
    ],
)
def test_a_search_that_is_answered_with_other_numbers_says_nothing_of_ours(shown: list[Any], own: int | None) -> None:
    items = [{"number": number} for number in shown]
    if own is None:
        with pytest.raises(ProviderError, match="do not begin so"):
            of_number(items, "number", "+4930901820")
    else:
        assert len(of_number(items, "number", "+4930901820")) == own
