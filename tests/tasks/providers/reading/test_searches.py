from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import Candidate, Outcome, OutcomeKind
from tasks.providers.adapter import Ask, ProviderError, SearchQuery, Unsupported
from tasks.providers.reading.searches import Listed, found_together, international_prefix, of_number, offered, page_size
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
    items = Listed({"number": number} for number in shown)
    if own is None:
        with pytest.raises(ProviderError, match="do not begin so"):
            of_number(items, "number", "+4930901820")
    else:
        assert len(of_number(items, "number", "+4930901820")) == own


@pytest.mark.parametrize("of", [{"flaw": "a list that a cache has kept: age 240"}, {"more": True}])
def test_a_search_that_may_lack_some_says_nothing_of_what_it_does_not_show(of: dict[str, Any]) -> None:
    items = Listed([{"number": "+4930901820"}], **of)
    assert len(of_number(items, "number", "+4930901820")) == 1
    with pytest.raises(ProviderError, match="may lack it"):
        of_number(items, "number", "+49309018201")


def together(numbers: list[str], *, for_sale: list[str]) -> tuple[list[str], list[bool]]:
    """What was searched for, and whether each number was found."""
    searched: list[str] = []

    def search(number: str, prefix: str) -> list[dict[str, str]]:
        assert number.startswith(prefix)
        searched.append(prefix)
        return [{"number": one} for one in for_sale if one.startswith(prefix)]

    found = found_together([Ask(number=number) for number in numbers], search, "number")
    for number, own in zip(numbers, found, strict=True):
        assert own is None or own == [{"number": number}]
    return searched, [own is not None for own in found]


def test_the_numbers_of_an_area_are_searched_for_by_what_they_begin_with() -> None:
    san_francisco = [f"+1415555{end}" for end in ("0100", "0123", "0199")]
    chicago = ["+13125550100", "+13125559100"]
    numbers = [*san_francisco, *chicago, "+12125550100"]
    searched, found = together(numbers, for_sale=numbers)
    assert searched == ["+141555501", "+1312555"]
    assert found == [True] * 5 + [False]


def test_what_a_search_for_an_area_does_not_show_is_left() -> None:
    numbers = ["+14155550100", "+14155550101", "+14155550102"]
    assert together(numbers, for_sale=[numbers[1], "+14155550105"])[1] == [False, True, False]


def test_numbers_of_two_countries_share_no_search() -> None:
    assert together(["+12125550100", "+14165550100", "+442071234567"], for_sale=[])[0] == []
    assert together(["+442071234567", "+442071234568"], for_sale=[])[0] == ["+44207123456"]


@pytest.mark.parametrize(
    ("outcome", "ends"),
    [
        (Outcome(kind=OutcomeKind.THROTTLED), True),
        (Outcome(kind=OutcomeKind.ACCOUNT), True),
        (Outcome(kind=OutcomeKind.NOT_SENT, error_code="pace", retry_after=9.0), True),
        (Outcome(kind=OutcomeKind.REFUSED), False),
        (Outcome(kind=OutcomeKind.UNKNOWN), False),
    ],
)
def test_a_failure_for_all_says_nothing_of_one_unless_none_can_be_searched_for(outcome: Outcome, ends: bool) -> None:
    def search(_: str, __: str) -> list[dict[str, str]]:
        raise ProviderError(outcome)

    asks = [Ask(number=f"+{digits}") for digits in (14155550100, 14155550101, 12125550100)]
    assert found_together(asks, search, "number") == [outcome if ends else None] * 3
