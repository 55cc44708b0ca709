"""Papers per country and number type."""

from __future__ import annotations

import pytest

from schemas.config.papers import number_type, paper_for, papers_mend
from tasks.providers.configured import parse_config
from tests.schemas.config.files import problems

BERLIN, BERLIN_MOBILE, LONDON = "+4930901820000", "+4915112345678", "+442071234567"
SID = "AC" + "0" * 31 + "1"
HEAD = f"""\
[providers.t]
kind = "twilio"
base_url = "https://api.twilio.com"
account_sid = "{SID}"
token_env = "T"
"""
BUNDLE = f"BU{1:032x}"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *(("+14155550100", "local"), (BERLIN, "local"), (BERLIN_MOBILE, "mobile"), ("+18005550100", "tollfree")),
        *(("+498001234567", "tollfree"), ("+33912345678", "national"), ("+443301234567", "national")),
    ],
)
def test_the_type_of_a_number(number: str, kind: str) -> None:
    assert number_type(number) == kind


def test_the_type_s_own_paper_comes_before_the_country_s() -> None:
    papers = {"DE": "a", "DE/mobile": "b", "GB/mobile": "c"}
    assert [paper_for(papers, number) for number in (BERLIN, BERLIN_MOBILE, LONDON)] == ["a", "b", None]


def test_the_mend_names_both_places() -> None:
    assert 'set bundles.DE or bundles."DE/mobile" in' in papers_mend("bundles", BERLIN_MOBILE)


@pytest.mark.parametrize("where", ["DE", '"DE/local"', '"DE/mobile"', '"GB/national"', '"US/tollfree"'])
def test_where_a_paper_is_wanted(where: str) -> None:
    found = parse_config(f'{HEAD}bundles = {{ {where} = "{BUNDLE}" }}\n', "p.toml").providers["t"]
    assert found.model_dump()["bundles"] == {where.strip('"'): BUNDLE}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('bundles = { XX = "BU1" }', "bundles.XX: 'XX' must be a country like DE"),
        ('bundles = { de = "BU1" }', "'de' must be a country like DE"),
        ('bundles = { "DE/fax" = "BU1" }', "DE/local, DE/mobile, DE/tollfree, DE/national"),
        ('bundles = { DE = "AD00000000000000000000000000000001" }', "bundles"),
        ("bundles = { DE = 5 }", "bundles"),
        ('bundles = "BU1"', "bundles"),
        ('addresses = { DE = "" }', "addresses"),
        ('identities = ["RI1"]', "identities"),
    ],
)
def test_papers_that_are_none_are_named_with_their_line(line: str, words: str) -> None:
    told = problems(f"{HEAD}{line}\n")
    assert told
    assert all(one.startswith("p.toml:6: ") for one in told), told
    assert any(words in one for one in told), told


@pytest.mark.parametrize(
    ("field", "value"), [("account_sid", "AC1"), ("account_sid", SID.lower()), ("api_key_sid", SID)]
)
def test_sids_that_are_none_are_named(field: str, value: str) -> None:
    text = HEAD.replace(f'account_sid = "{SID}"\n', f'account_sid = "{value}"\n') if field == "account_sid" else HEAD
    (told,) = problems(text if field == "account_sid" else f'{HEAD}{field} = "{value}"\n')
    assert field in told
