"""Prefixes of no number in use: what is refused, and that nothing is that has numbers."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, PhoneMetadata, PhoneNumberType

from schemas.numbering.national_prefix import unused

REGIONS = sorted(SUPPORTED_REGIONS)


@pytest.mark.parametrize(
    ("country", "prefix"),
    [("US", "999"), ("US", "555"), ("US", "211"), ("US", "41511"), ("CA", "555"), ("GB", "4"), ("DE", "999")],
)
def test_a_prefix_of_no_number_in_use_is_refused_with_the_mend(country: str, prefix: str) -> None:
    told = unused(country, prefix)
    assert told is not None
    assert told.startswith(f"begins no number of {country} that is in use: mend it; for a range that was opened lately")


@pytest.mark.parametrize(
    ("country", "prefix"),
    [("US", ""), ("US", "4"), ("US", "415"), ("US", "415555"), ("US", "800"), ("IT", "06"), ("AR", "9"), ("CA", "600")],
)
def test_a_prefix_that_has_numbers_is_taken(country: str, prefix: str) -> None:
    assert unused(country, prefix) is None


@pytest.mark.parametrize("country", REGIONS)
def test_no_beginning_of_an_example_of_any_type_is_refused(country: str) -> None:
    found = (phonenumbers.example_number_for_type(country, one) for one in PhoneNumberType.values())
    examples = [phonenumbers.national_significant_number(one) for one in found if one is not None]
    assert examples
    beginnings = {one[:end] for one in examples for end in range(len(one) + 1)}
    assert [one for one in sorted(beginnings) if unused(country, one)] == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_beginning_of_a_valid_number_is_refused(data: st.DataObject) -> None:
    country = data.draw(st.sampled_from(REGIONS))
    metadata = PhoneMetadata.metadata_for_region(country)
    ranges = [one.national_number_pattern for one in (metadata.fixed_line, metadata.mobile) if one is not None]
    pattern = data.draw(st.sampled_from([one for one in ranges if one]))
    national = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    assert [national[:end] for end in range(len(national) + 1) if unused(country, national[:end])] == []


def test_of_the_area_codes_of_1_those_without_a_number_are_refused() -> None:
    for area in map(str, range(200, 1000)):
        number = phonenumbers.parse(f"+1{area}2345678")
        owners = [one for one in COUNTRY_CODE_TO_REGION_CODE[1] if phonenumbers.is_valid_number_for_region(number, one)]
        assert [one for one in owners if unused(one, area)] == []
        # 310 has short numbers of all Canada
        if not owners and area != "310":
            assert unused("US", area), area
            assert unused("CA", area), area
