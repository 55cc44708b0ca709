"""schemas.metadata: what comes back as it was sent is taken, all else is refused with its reason."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.metadata import MAX_DEPTH, MAX_METADATA, Metadata

METADATA: TypeAdapter[dict[str, Any]] = TypeAdapter(Metadata)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    # SQL databases take neither half surrogates nor NUL
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00-+"), max_size=10),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text("abc", max_size=3), children, max_size=3),
    max_leaves=8,
)


def refused(metadata: object) -> str:
    with pytest.raises(ValidationError) as caught:
        METADATA.validate_python(metadata)
    return str(caught.value.errors()[0]["msg"])


@given(st.dictionaries(st.text("abc", max_size=5), JSON, max_size=4))
def test_it_comes_back_untouched_or_is_refused(metadata: dict[str, Any]) -> None:
    text = json.dumps(metadata)
    if re.search(r"-0\.0(?![0-9])|e\+", text):
        assert "would come back as another" in refused(metadata)
    else:
        assert json.dumps(METADATA.validate_python(metadata)) == text


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"a": "x" * MAX_METADATA}, "8192 at most"),
        ({"a": float("nan")}, "without NaN"),
        ({"a": [-math.inf]}, "without NaN"),
        ({"a": "\ud800"}, "half surrogates"),
        ({"a": "\x00"}, "NUL"),
        ({"a": "\\\x00"}, "NUL"),
        ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, "must be plain JSON"),
        ({"a": {1: "b"}}, "the names in an object are texts"),
        ({"a": [{"b": ()}]}, "a tuple comes back as a list"),
        (nested(MAX_DEPTH + 1), "nested too deeply"),
        (nested(900), "nested too deeply"),
        ([], "valid dictionary"),
        ({"a": 1e300}, "holds the number 1e+300, which would come back as another: send it as a text"),
        ({"a": [{"b": -1e16}]}, "holds the number -1e+16"),
        ({"a": -0.0}, "holds the number -0.0"),
        ({"a": [1e-300] * 100}, "bytes of JSON: 8192 at most"),
    ],
)
def test_it_is_bounded_plain_json(metadata: object, reason: str) -> None:
    assert reason in refused(metadata)


@pytest.mark.parametrize("value", [0.0, 1.5, -2.0, 1e15, 9007199254740993.0, 1e-5, 1e-300, 5e-324, 2**64, 0.1 + 0.2])
def test_numbers_that_come_back_as_they_are(value: float) -> None:
    assert METADATA.validate_python({"a": value}) == {"a": value}


def test_up_to_its_bounds_it_is_taken() -> None:
    for metadata in (
        {"a": "x" * (MAX_METADATA - len(json.dumps({"a": ""})))},
        nested(MAX_DEPTH),
        # the six characters, not a NUL
        {"a": r"\u0000"},
    ):
        assert METADATA.validate_python(metadata) == metadata


def test_the_bound_counts_bytes_as_they_are_kept() -> None:
    assert "at most" in refused({"a": "\u20ac" * (MAX_METADATA // 2)})
    small = {"a": [1e-300] * 26}
    assert METADATA.validate_python(small) == small
    assert "at most" in refused({"a": [1e-300] * 28})
