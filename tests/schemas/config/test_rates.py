"""schemas.config.rates: limits and durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.config.rates import MAX_DURATION, Rate, RateLimit, parse_duration, parse_rate


@pytest.mark.parametrize(
    ("text", "limit", "window"),
    [
        ("20/second", 20, 1),
        ("20 / Second", 20, 1),
        ("13800/10 seconds", 13800, 10),
        ("13800/10seconds", 13800, 10),
        ("100/hour", 100, 3600),
        ("5 per minute", 5, 60),
        ("7/2 minutes", 7, 120),
        ("1000/day", 1000, 86400),
    ],
)
def test_a_limit_is_read(text, limit, window):
    assert parse_rate(text) == RateLimit(window=window, limit=limit)


@pytest.mark.parametrize("value", ["", "20", "20/", "/second", "20/fortnight", "2.5/second", "-1/second", 20, None, []])
def test_what_is_no_limit_shows_how_to_write_one(value):
    with pytest.raises(ValueError, match=r"is no rate limit: write it like '20/second'"):
        parse_rate(value)


@pytest.mark.parametrize("value", ["0/second", "5/0 seconds", "00/minute"])
def test_a_limit_of_zero_is_refused(value):
    with pytest.raises(ValueError, match="lets nothing through"):
        parse_rate(value)


@pytest.mark.parametrize(
    "value", ["1000001/second", "1/367 days", f"1/1{'0' * 400} seconds", f"{'9' * 5000}/second", "1/99999999999 days"]
)
def test_a_limit_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=r"is out of range: at most 1,000,000 calls, in at most 366 days") as caught:
        parse_rate(value)
    assert len(str(caught.value)) < 150


@given(st.integers(1, 10**6), st.integers(1, 366), st.sampled_from(["second", "minutes", "hour", "days"]))
def test_a_limit_reads_back_as_it_is_written(limit, count, unit):
    rate = parse_rate(f"{limit}/{count} {unit}")
    assert parse_rate(str(rate)) == rate


def test_a_limit_is_written_with_its_unit():
    assert str(parse_rate("20 per 1 seconds")) == "20/second"
    assert str(parse_rate("20/60 seconds")) == "20/minute"
    assert str(parse_rate("20/100 days")) == "20/8640000 seconds"


def test_the_average_of_a_limit_is_per_second():
    assert parse_rate("13800/10 seconds").per_second == 1380


def test_in_a_model_a_limit_is_text_on_the_wire():
    adapter = TypeAdapter(Rate)
    rate = adapter.validate_python("20/second")
    assert adapter.validate_python(rate) is rate
    assert adapter.dump_json(rate) == b'"20/second"'


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90s", 90), ("30m", 1800), ("6h", 21600), ("2d", 172800), ("1.5 H", 5400), (5, 5), (0.25, 0.25), ("0s", 0)],
)
def test_a_duration_is_read_in_seconds(value, seconds):
    result = parse_duration(value)
    assert (result, type(result)) == (seconds, float)


@pytest.mark.parametrize("value", ["", "6", "h", "six hours", "-5s", True, None, "1h30m", [5]])
def test_what_is_no_duration_shows_how_to_write_one(value):
    with pytest.raises(ValueError, match="is no duration: write seconds, or '90s'"):
        parse_duration(value)


@pytest.mark.parametrize("value", [-1, -0.1, float("inf"), float("nan"), 10**400, "367d", "9" * 400 + "s"])
def test_a_duration_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match="from 0 to 366 days"):
        parse_duration(value)


def test_the_longest_duration_is_taken():
    assert parse_duration("366d") == MAX_DURATION
