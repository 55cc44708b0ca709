"""Criteria: what is refused, and what a number tells of its type."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.by_criteria.criteria import Criteria, NumberType, may_be


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"country": "us"}, "did you mean 'US'?"),
        ({"country": "XX"}, "write it like US"),
        ({"prefix": "115"}, "begins no number of US"),
        ({"prefix": "0"}, "begins no number of US"),
        ({"prefix": "4x"}, "must be digits alone"),
        ({"prefix": "204"}, "is of CA, not of US"),
        ({"type": "toll-free", "prefix": "415"}, "contradicts the prefix 415, whose numbers are local"),
        ({"type": "local", "prefix": "800"}, "contradicts the prefix 800, whose numbers are toll-free"),
        ({"contains": "5a"}, "must be at most 15 digits"),
        ({"providers": ["a", "a"]}, "'a' is there twice"),
        ({"max_price": "1.50"}, "is no price: write an amount and its currency"),
        ({"max_price": "0 USD"}, "would buy nothing"),
    ],
)
def test_what_can_be_no_number_is_refused_with_the_mend(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told.replace("?", r"\?")):
        Criteria.model_validate(fields)


@pytest.mark.parametrize(
    ("number", "wanted", "may"),
    [
        ("+14155550100", "local", True),
        ("+14155550100", "mobile", True),
        ("+14155550100", "toll-free", False),
        ("+18005550100", "toll-free", True),
        ("+18005550100", "local", False),
        ("+442079460000", "local", True),
        ("+442079460000", "mobile", False),
        ("+447911123456", "mobile", True),
        ("+447911123456", "local", False),
    ],
)
def test_what_a_number_tells_of_its_type(number: str, wanted: NumberType, may: bool) -> None:
    assert may_be(number, wanted) is may


def test_criteria_come_back_from_json_as_they_were() -> None:
    given = Criteria.model_validate(
        {"prefix": "415", "features": ["sms", "voice", "sms"], "max_price": "1.50 USD", "exclude": ["+14155550100"]}
    )
    assert given.features == ("sms", "voice")
    assert Criteria.model_validate(given.model_dump(mode="json")) == given
