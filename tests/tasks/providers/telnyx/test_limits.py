"""The limits that Telnyx tells beside its answers, before a 429 comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas.outcomes import OutcomeKind
from tasks.providers.adapter import Adapter, ProviderError, SearchQuery
from tasks.providers.transport.session import MOST_TOLD
from tasks.providers.transport.turns import hearing
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import NUMBER, adapter, buy, telnyx_order

REMAINING, RESET = "x-ratelimit-remaining", "x-ratelimit-reset"
NONE_LEFT = {REMAINING: "0", RESET: "3"}


@pytest.fixture
def heard() -> Iterator[list[float]]:
    found: list[float] = []
    with hearing(found.append):
        yield found


@pytest.fixture
def telnyx(server: ScriptedServer) -> Adapter:
    return adapter("telnyx", server.url)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (NONE_LEFT, [3.0]),
        ({REMAINING: "0", RESET: "0.5"}, [0.5]),
        ({REMAINING: "0", RESET: "86399"}, [MOST_TOLD]),
        *(({REMAINING: "0", RESET: text}, []) for text in ("0", "-1", "soon", "", "1e3", "1764230400000", "1, 2")),
        *(({REMAINING: text, RESET: "3"}, []) for text in ("1", "100", "-1", "none", "", "0, 5")),
        *(({name: text}, []) for name, text in NONE_LEFT.items()),
        ({}, []),
        ({**NONE_LEFT, "Age": "60"}, []),
    ],
)
def test_no_call_left_is_told_of_and_what_is_wrong_is_not(
    server: ScriptedServer, telnyx: Adapter, heard: list[float], headers: dict[str, str], seconds: list[float]
) -> None:
    server.queue(reply(200, {"data": []}, headers))
    assert telnyx.search(SearchQuery()) == []
    assert heard == seconds


def test_a_purchase_tells_it_too_whatever_became_of_it(
    server: ScriptedServer, telnyx: Adapter, heard: list[float]
) -> None:
    server.queue(reply(200, telnyx_order(NUMBER, "success"), NONE_LEFT), reply(500, {}, NONE_LEFT))
    assert [buy(telnyx, "telnyx").kind for _ in range(2)] == [OutcomeKind.PURCHASED, OutcomeKind.UNKNOWN]
    assert heard == [3.0, 3.0]


def test_a_429_says_it_by_itself(server: ScriptedServer, telnyx: Adapter, heard: list[float]) -> None:
    server.queue(reply(429, {}, NONE_LEFT))
    with pytest.raises(ProviderError) as caught:
        telnyx.search(SearchQuery())
    assert (caught.value.outcome.retry_after, heard) == (3.0, [])


def test_who_documents_no_such_headers_says_nothing(server: ScriptedServer, heard: list[float]) -> None:
    server.queue(reply(200, {}, {**NONE_LEFT, "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    assert adapter("vonage", server.url).search(SearchQuery()) == []
    assert heard == []
