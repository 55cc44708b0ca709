"""A file's own column of countries: each of its row's national number."""

from __future__ import annotations

import json

import pytest

from tasks.orderfile import Line, Naming, Problem
from tasks.orderfile.columns import canonical, unknown

from .reading import lines, read, told
from .workbooks import ods, xlsx

ROWS = [["Phone", "Country", "provider"], ["0301234567", "DE", "bird"], ["415 555 1004", "US", "bird"]]
READ = ["+49301234567", "+14155551004"]
TEXT = "".join(f"{','.join(row)}\n" for row in ROWS)


@pytest.mark.parametrize("country", [None, "DE", "FR"])
@pytest.mark.parametrize("others", ["refuse", "ignore", "metadata"])
def test_the_rows_own_country_counts(country, others):
    objects = "".join(f"{json.dumps(dict(zip(ROWS[0], row, strict=True)))}\n" for row in ROWS[1:])
    for source, name in ((TEXT, "x.csv"), (objects, "x.ndjson"), (xlsx({"S": ROWS}), "x"), (ods({"S": ROWS}), "x")):
        found = lines(source, name, country=country, naming=Naming({}, others))
        assert [line.request.number for line in found] == READ
        assert not any(line.request.metadata or line.request.options for line in found)


def test_an_empty_cell_takes_the_files_country():
    text = "number,country,provider\n0301234567,,bird\n(415) 555-1004, us ,bird\n+33123456789,,bird\n"
    found = read(text, country="DE")
    assert [line.request.number for line in found] == [*READ, "+33123456789"]
    problem, *rest = read(text)
    assert (problem.line, problem.column, "name the country" in problem.message) == (2, "number", True)
    assert all(isinstance(one, Line) for one in rest)


@pytest.mark.parametrize("cell", ["Germany", "XX", "49", "D", "UK", "\u00df", "DE US", "\u0405\u0405"])
def test_a_cell_that_is_no_country_is_refused_where_the_number_needs_one(cell):
    number = "0301234567"
    ((line, column, message),) = told(f"number,country,provider\n{number},{cell},bird\n", country="DE")
    assert (line, column) == (2, "country")
    assert "is no country: write two letters of ISO 3166-1, like US or GB" in message
    assert lines(f"number,metadata.country,provider\n{number},{cell},bird\n", country="DE")


@pytest.mark.parametrize("cell", ["United States", "1", "+1", "USA"])
def test_a_number_with_its_plus_needs_none(cell):
    for others in ("refuse", "ignore", "metadata"):
        text = f"number,Country Code,provider\n+14155551004,{cell},bird\n"
        assert [line.request.number for line in lines(text, naming=Naming({}, others))] == ["+14155551004"]


def test_a_column_of_counties_is_not_taken_for_one():
    assert "country" not in unknown("County").partition("known are")[0]


@pytest.mark.parametrize("value", [1, 0.5, True, ["DE"], {"a": 1}])
def test_a_value_that_is_no_text_is_no_country(value):
    text = json.dumps([{"number": "+14155550100", "country": value, "provider": "bird"}])
    assert [column for _, column, _ in told(text, "x.json")] == ["country"]


@pytest.mark.parametrize(
    ("number", "country", "of"),
    [
        ("+14155550100", "DE", "US"),
        ("0014155550100", "DE", "US"),
        ("+16135550100", "US", "CA"),
        ("+447797712345", "GB", "JE"),
        ("+80012345678", "US", "no country"),
    ],
)
def test_a_country_that_contradicts_the_number_is_refused(number, country, of):
    ((_, column, message),) = told(f"number,country,provider\n{number},{country},bird\n")
    assert (column, message.startswith(f"is {country}, and '+"), f" is of {of}: mend the one" in message) == (
        *("country", True, True),
    )
    assert lines(f"number,country,provider\n{number},,bird\n")


@pytest.mark.parametrize(
    ("number", "country"),
    [("+14155550100", "us"), ("+18005550100", "CA"), ("+447400123456", "GB"), ("+77012345678", "KZ")],
)
def test_a_country_that_agrees_with_the_number_is_passed(number, country):
    assert lines(f"number,country,provider\n{number},{country},bird\n")[0].request.number == number


def test_a_number_that_is_none_of_the_rows_country_tells_of_both():
    ((_, column, message),) = told("number,country,provider\n6135550100,US,bird\n", country="CA")
    assert column == "number"
    assert message.endswith("or name that country (the row's country is US: mend that too if it is wrong)")
    assert lines("number,country,provider\n6135550100,CA,bird\n")


@pytest.mark.parametrize(
    "name",
    ["country", "COUNTRY", "Country Code", "country_code", "CountryCode", "ISO Country", "Country (ISO)", "ISO2"],
)
def test_the_countrys_column_has_its_usual_names(name):
    assert canonical(name) == "country"


def test_it_may_be_named_and_then_no_other_is_it():
    text = "number,Land,Country,provider\n0301234567,DE,Bavaria,bird\n"
    naming = Naming({"land": "country"}, "metadata")
    assert lines(text, naming=naming)[0].request.model_dump()["metadata"] == {"Country": "Bavaria"}
    assert [line.request.number for line in lines(text, naming=naming)] == READ[:1]


def test_two_columns_that_may_be_it_are_refused():
    found = told("number,Country,Country Code,provider\n0301234567,DE,DE,bird\n")
    assert [(column, "two columns may be it" in message) for _, column, message in found] == [("country", True)]


def test_no_option_is_proposed_for_a_column_of_countries_and_a_county_is_no_country():
    assert "options.country" not in unknown("Countries") + unknown("countrry")
    text = "number,provider,County\n+14155550100,bird,Marin\n"
    assert lines(text, naming=Naming({}, "metadata"))[0].request.metadata == {"County": "Marin"}
    assert [
        type(one) for one in read("number,provider,Contry\n+14155550100,bird,US\n", naming=Naming({}, "metadata"))
    ] == [Problem]
