"""schemas.pool_requests: what a take and a return may say."""

from __future__ import annotations

import pytest

from schemas.pool_requests import MAX_TAKE, parse_return, parse_take
from schemas.requests import RequestError

POOLS = ("support", "sales")
NUMBER = "+14155550100"


def test_a_take_needs_a_pool_alone():
    take = parse_take({"pool": "support"}, POOLS)
    assert (take.pool, take.count, take.request_id, take.taker, take.metadata) == ("support", 1, None, None, {})


def test_a_return_needs_a_pool_and_a_number():
    given = parse_return({"pool": "sales", "number": "14155550100"}, POOLS)
    assert (given.pool, given.number, given.taker) == ("sales", NUMBER, None)


def test_everything_may_be_said():
    common = {"pool": "support", "request_id": "r-1", "taker": "call center 7", "metadata": {"a": [1]}}
    assert parse_take({**common, "count": MAX_TAKE}, POOLS).model_dump() == {**common, "count": MAX_TAKE}
    assert parse_return({**common, "number": NUMBER}, POOLS).model_dump() == {**common, "number": NUMBER}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "pool: is required"),
        ({"pool": ""}, "pool: is empty"),
        ({"pool": 7}, "pool: must be text"),
        ({"pool": "x" * 41}, "pool: is too long: 40 characters at most"),
        ({"pool": "support", "count": 0}, "count: must be 1 or more"),
        ({"pool": "support", "count": MAX_TAKE + 1}, f"count: must be {MAX_TAKE} or less"),
        ({"pool": "support", "count": "2"}, "count: must be a whole number"),
        ({"pool": "support", "count": 1.0}, "count: must be a whole number"),
        ({"pool": "support", "count": True}, "count: must be a whole number"),
        ({"pool": "support", "cuont": 1}, "cuont: unknown field: did you mean 'count'?"),
        ({"pool": "support", "request_id": "a b"}, "request_id: has a character that it cannot have"),
        ({"pool": "support", "taker": ""}, "taker: is empty"),
        ({"pool": "support", "taker": "a\nb"}, "taker: has a character that it cannot have: leave out control"),
        ({"pool": "support", "taker": "x" * 201}, "taker: is too long: 200 characters at most"),
        ({"pool": "support", "metadata": []}, "metadata: must be an object"),
        ({"pool": "support", "metadata": {"a": "x" * 9000}}, "metadata: is 9"),
    ],
)
def test_a_wrong_take_is_refused_with_the_mend(fields, problem):
    with pytest.raises(RequestError) as caught:
        parse_take(fields, POOLS)
    assert str(caught.value).startswith(problem)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (None, "number: is required"),
        ("415-555", "number: '415-555' is not E.164"),
        ("6465550123", "number: '6465550123' can be read in two ways"),
        (7, "number: must be text"),
    ],
)
def test_a_wrong_number_is_refused(number, problem):
    with pytest.raises(RequestError) as caught:
        parse_return({"pool": "support"} | ({} if number is None else {"number": number}), POOLS)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("pool", "pools", "hint"),
    [
        ("suport", POOLS, "did you mean 'support'?"),
        ("zzz", POOLS, "known are support, sales"),
        ("support", (), "providers.toml has no [pools.NAME]"),
    ],
)
def test_an_unknown_pool_is_refused(pool, pools, hint):
    for parse, fields in ((parse_take, {}), (parse_return, {"number": NUMBER})):
        with pytest.raises(RequestError) as caught:
            parse({"pool": pool, **fields}, pools)
        assert (str(caught.value), caught.value.code) == (f"pool: {pool!r} is not configured: {hint}", "unknown_pool")


def test_a_fingerprint_is_of_all_but_the_id():
    take = {"pool": "support", "count": 2, "taker": "a", "metadata": {"x": 1, "y": 2}}
    same = [{}, {"request_id": "other"}, {"metadata": {"y": 2, "x": 1}}]
    assert len({parse_take(take | change, POOLS).fingerprint for change in same}) == 1
    unlike = [{}, {"pool": "sales"}, {"count": 3}, {"taker": "b"}, {"taker": None}, {"metadata": {}}]
    assert len({parse_take(take | change, POOLS).fingerprint for change in unlike}) == len(unlike)


def test_a_take_and_a_return_differ_and_one_numbers_spellings_do_not():
    spellings = [parse_return({"pool": "support", "number": number}, POOLS) for number in (NUMBER, NUMBER[1:])]
    assert spellings[0].fingerprint == spellings[1].fingerprint
    other = parse_return({"pool": "support", "number": "+14155550101"}, POOLS)
    fingerprints = {other.fingerprint, spellings[0].fingerprint, parse_take({"pool": "support"}, POOLS).fingerprint}
    assert len(fingerprints) == 3


def test_a_pool_that_was_configured_once_takes_back_and_gives_nothing():
    assert parse_return({"pool": "old", "number": NUMBER}, POOLS, ["old"]).pool == "old"
    with pytest.raises(RequestError, match=r"'old' is not configured any more: .* \[pools\.old\]") as caught:
        parse_take({"pool": "old"}, POOLS, ["old"])
    assert caught.value.code == "unknown_pool"
    with pytest.raises(RequestError, match="did you mean 'old'"):
        parse_return({"pool": "odl", "number": NUMBER}, POOLS, ["old"])
