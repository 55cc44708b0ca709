"""What headers and links say of a page, and what of that was asked."""

from __future__ import annotations

import time

import pytest

from tasks.providers.reading.claims import Claims, other_question, read_claims

ASKED = "https://api.example.com/base/v1/numbers"
PARAMS = {"number": "14155550100", "page": 2}


def wrong(headers: dict[str, str], *, shown: int = 1, page: int = 2, seen: int = 100, last: bool = True) -> str | None:
    return read_claims(headers, shown).wrong(page=page, seen=seen, last=last)


def test_what_is_not_said_says_nothing() -> None:
    assert read_claims({}, 5) == Claims()
    assert wrong({"Via": "1.1 a", "X-Request-Id": "7", "X-Total-Count": "", "X-RateLimit-Limit": "5"}) is None


@pytest.mark.parametrize("value", ["items 100-100/101", "100-100/*", "Numbers 100-100/500", "items=100-100/101"])
def test_a_range_that_was_asked_for_is_right(value: str) -> None:
    assert wrong({"content-range": value}) is None


@pytest.mark.parametrize(
    "value", ["items 0-0/101", "items 100-101/102", "items 101-101/102", "*/5", "bytes 100-100/101", "all", "100-99/1"]
)
def test_another_range_is_wrong(value: str) -> None:
    assert wrong({"Content-Range": value}) is not None


def test_a_total_is_the_largest_that_is_told() -> None:
    assert read_claims({"X-Total-Count": "7", "Content-Range": "0-0/9"}, 1).total == 9
    assert read_claims({"Content-Range": "*/9"}, 0).total == 9


@pytest.mark.parametrize("headers", [{"X-Page": "3"}, {"X-Current-Page": "0"}, {"X-Page": "two"}, {"X-Total": "-1"}])
def test_another_page_and_a_count_that_is_none_are_wrong(headers: dict[str, str]) -> None:
    assert wrong(headers) is not None


@pytest.mark.parametrize("headers", [{"X-Prev-Page": "1"}, {"Link": "<x>; rel=prev"}, {"Link": "<x>; rel='previous'"}])
def test_a_first_page_has_none_before_it(headers: dict[str, str]) -> None:
    assert wrong(headers) is None
    assert wrong(headers, page=1, seen=0) is not None


@pytest.mark.parametrize("headers", [{"X-Next-Page": "3"}, {"Link": '<x>; a=b; rel="next"'}, {"X-Total-Pages": "3"}])
def test_a_last_page_has_none_behind_it(headers: dict[str, str]) -> None:
    assert wrong(headers, last=False) is None
    assert wrong(headers) is not None


@pytest.mark.parametrize(
    "link",
    [
        *("/base/v1/numbers", "/v1/numbers?page=2", "?page=2&number=14155550100", f"{ASKED}?number=%2B14155550100"),
        *("?token=a", "?name=", "/v1/numbers#a"),
    ],
)
def test_a_link_of_the_same_question(link: str) -> None:
    assert other_question(link, ASKED, PARAMS, ("token",)) is None


@pytest.mark.parametrize(
    "link",
    [
        *("/v1/numbers/search", "/v2/numbers", "/v1/other", "https://other.example.com/base/v1/numbers", "http://["),
        *("http://api.example.com/base/v1/numbers", "?page=1", "?number=1415555010", "?name=a", "?page=2&page=3"),
    ],
)
def test_a_link_of_another_question(link: str) -> None:
    assert other_question(link, ASKED, PARAMS, ("token",)) is not None


@pytest.mark.parametrize(
    "text", ["rel=", ";", "; rel = ", "'", '"', "x-", "total-", "next-", "partial-", "1-", "<a>; "]
)
def test_what_is_long_is_read_in_time(text: str) -> None:
    long = text * (60_000 // len(text)) + "x"
    began = time.thread_time()
    read_claims({"Link": long, "Content-Range": long, "X-Total": long, long: "1"}, 1)
    assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    ("asked", "link", "is_other"),
    [
        ("https://space.example.com/v1/numbers", "https://space.example.com/v1/numbers", False),
        ("https://SPACE.example.com:443/v1/numbers", "https://space.example.com/v1/numbers", False),
        ("https://gateway.internal/out/v1/numbers", "https://space.example.com/v1/numbers", False),
        ("https://gateway.internal/out/v1/numbers", "http://space.example.com/v1/numbers", True),
        ("https://gateway.internal/out/v1/numbers", "https://space.example.org/v1/numbers", True),
        ("https://gateway.internal/out/v1/numbers", "https://space.example.com/v1/other", True),
        ("https://space.example.com/v1/numbers", "https://another.example.com/v1/numbers", True),
        ("https://space.example.com/v1/numbers", "https://space.example.com:8443/v1/numbers", True),
        ("https://space.example.com/v1/numbers", "https://space.example.com:x/v1/numbers", True),
    ],
)
def test_behind_a_gateway_the_providers_own_hosts_are_no_other_place(asked: str, link: str, is_other: bool) -> None:
    assert (other_question(link, asked, {}, hosts=".example.com") is not None) is is_other
