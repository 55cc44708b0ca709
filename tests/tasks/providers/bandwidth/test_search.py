"""What a search shows, and the codes of one that was not made: 4000 to 4026, and 5041 and 5046 of reservations."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import Candidate, LookKind, OutcomeKind
from tasks.providers.adapter import Adapter, ProviderError, SearchQuery, Unsupported
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import NUMBER
from tests.tasks.providers.bandwidth.answers import BY_ID, PATH, buy, failed, listed, look, xml

CODES = (*(str(code) for code in range(4000, 4027)), "5041", "5046")
BY_AREA = SearchQuery(prefix="415")


def error(code: str) -> dict[str, Any]:
    return {"Code": code, "Description": "some words"}


@pytest.mark.parametrize(
    ("prefix", "asked"),
    [
        ("415", {"areaCode": ["415"]}),
        ("41555", {"areaCode": ["415"]}),
        ("415555", {"npaNxx": ["415555"]}),
        ("41555501", {"npaNxxx": ["4155550"]}),
    ],
)
def test_search(provider: Adapter, server: ScriptedServer, prefix: str, asked: dict[str, Any]) -> None:
    offers = {"ResultCount": 2, "TelephoneNumberList": {"TelephoneNumber": [NUMBER, "+12125550100"]}}
    server.queue(xml("SearchResult", offers))
    assert provider.search(SearchQuery(prefix=prefix, limit=9)) == [Candidate(number=NUMBER)]
    (seen,) = server.seen
    assert seen.path == f"{PATH}/availableNumbers"
    assert seen.query == {**asked, "quantity": ["9"], "LCA": ["false"]}


def test_a_search_needs_an_area_code_of_the_us_or_canada(provider: Adapter, server: ScriptedServer) -> None:
    for query in (SearchQuery(), SearchQuery(prefix="41"), SearchQuery(country="DE", prefix="415")):
        with pytest.raises(Unsupported, match="area code"):
            provider.search(query)
    server.queue(reply(200, {}))
    with pytest.raises(ProviderError):
        provider.search(SearchQuery(prefix="415"))


@pytest.mark.parametrize("body", [{"ResultCount": 0}, {"ResultCount": 0, "TelephoneNumberList": ""}])
def test_nothing_is_for_sale_where_the_count_says_so(
    provider: Adapter, server: ScriptedServer, body: dict[str, Any]
) -> None:
    server.queue(xml("SearchResult", body))
    assert provider.search(BY_AREA) == []


@pytest.mark.parametrize(
    "body",
    [
        *("", "words", {"ResultCount": 1}, {"ResultCount": "none"}, {"TelephoneNumberList": ""}),
        *({"ResultCount": 0, name: "words"} for name in ("Error", "ErrorList", "Warning")),
        {"ResultCount": 0, "TelephoneNumberDetailList": {"TelephoneNumberDetail": {"FullNumber": NUMBER}}},
    ],
)
def test_what_says_of_no_count_that_it_is_0_is_no_search(provider: Adapter, server: ScriptedServer, body: Any) -> None:
    server.queue(xml("SearchResult", body))
    with pytest.raises(ProviderError, match="no list") as caught:
        provider.search(BY_AREA)
    assert caught.value.outcome.kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("code", CODES)
def test_a_search_that_was_not_made_is_never_one_that_found_nothing(
    provider: Adapter, server: ScriptedServer, code: str
) -> None:
    beside = {"ResultCount": 1, "TelephoneNumberList": {"TelephoneNumber": [NUMBER]}}
    for found in ({}, {"ResultCount": 0}, beside):
        for told in ({"Error": error(code)}, {"ErrorList": {"Error": [error(code)]}}):
            server.queue(xml("SearchResult", {**told, **found}))
            with pytest.raises(ProviderError, match=f"HTTP 200, but with error {code}") as caught:
                provider.search(BY_AREA)
            assert caught.value.outcome.kind is OutcomeKind.UNKNOWN
            server.queue(xml("SearchResult", {**told, **found}, 400))
            with pytest.raises(ProviderError, match="some words") as caught:
                provider.search(BY_AREA)
            assert (caught.value.outcome.kind, caught.value.outcome.error_code) == (OutcomeKind.REFUSED, code)


@pytest.mark.parametrize("code", CODES)
def test_such_a_code_says_of_an_order_what_its_status_says(
    provider: Adapter, server: ScriptedServer, code: str
) -> None:
    outcome = buy(provider, server, xml("OrderResponse", {"Error": error(code)}, 400))
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.REFUSED, code)
    outcome = buy(provider, server, xml("OrderResponse", {"Error": error(code)}, 500))
    assert outcome.kind is OutcomeKind.UNKNOWN
    outcome = buy(provider, server, xml("OrderResponse", {"Error": error(code)}, 201))
    assert outcome.kind is OutcomeKind.UNKNOWN
    answer = xml("OrderResponse", failed(code))
    assert look(provider, server, BY_ID, answer, reply(404), listed()).kind is LookKind.LOST
