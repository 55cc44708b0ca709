"""Rows with a count in place of a number, in each format; both kinds in one file are refused."""

from __future__ import annotations

import io
import json

import pytest

from schemas.by_criteria.wishes import Wish
from tasks.orderfile import Line, OrderFileError, Problem, read_order
from tasks.orderfile.text import Format
from tasks.providers.registry import kinds


def read(text: str, format: Format = "csv", provider: str | None = None) -> tuple[list[Wish], list[Line | Problem]]:
    wishes: list[Wish] = []
    rows = read_order(
        io.BytesIO(text.encode()),
        name="wishes",
        format=format,
        kinds=kinds(),
        default_provider=provider,
        country=None,
        on_wish=lambda _line, wish: wishes.append(wish),
    )
    return wishes, list(rows)


def told(text: str, format: Format = "csv") -> list[str]:
    return [f"{one.line} {one.column}: {one.message}" for one in read(text, format)[1] if isinstance(one, Problem)]


def test_rows_with_a_count_are_wishes() -> None:
    wishes, rest = read(
        "Count,country,prefix,provider,max price,metadata.team,at_least,features\n"
        "20,us,415,bird,1.50 USD,sales,5,\n"
        "3,GB,20,,,,,\n"
    )
    assert rest == []
    first, second = wishes
    assert (first.count, first.at_least, first.metadata) == (20, 5, {"team": "sales"})
    assert (first.criteria.country, first.criteria.prefix, first.criteria.providers) == ("US", "415", ("bird",))
    assert str(first.criteria.max_price) == "1.50 USD"
    assert (second.count, second.at_least, second.criteria.country, second.criteria.providers) == (3, 1, "GB", ())


def test_json_and_ndjson_have_them_too() -> None:
    rows = [{"count": 20, "prefix": "415", "metadata": {"n": 1}}, {"count": "5", "prefix": 628, "provider": "telnyx"}]
    for text, format in ((json.dumps(rows), "json"), ("\n".join(map(json.dumps, rows)), "ndjson")):
        wishes, rest = read(text, format)  # type: ignore[arg-type]
        assert (rest, [one.count for one in wishes]) == ([], [20, 5])
        assert [one.criteria.prefix for one in wishes] == ["415", "628"]
        assert wishes[0].metadata == {"n": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("count,prefix\n0,415\n", "2 count: must be a whole number from 1 to 100,000"),
        ("count,prefix\n-3,415\n", "2 count: must be a whole number"),
        ("count,prefix\n,415\n", "2 count: must be a whole number"),
        ("count,prefix\n1e3,415\n", "2 count: must be a whole number"),
        ("count,prefix\n999999999999,415\n", "2 count: must be a whole number"),
        ("count,prefix\n5,115\n", "2 prefix: '115' begins no number of US"),
        ("count,prefix\n5,999\n", "2 prefix: '999' begins no number of US that is in use: mend it; for a range"),
        ("count,prefix,at_least\n5,415,6\n", "2 at_least: must be a whole number from 1 to the count, 5"),
        ("count,max_price\n5,1.50\n", "2 max_price: '1.50' is no price"),
        ("count,provider\n5,birb\n", "2 provider: 'birb' is not configured: did you mean 'bird'?"),
        ("count,provider\n5,timepay\n", "2 provider: 'timepay' (timepay) cannot be searched"),
        ("count,prefix\n5,415\n5,415\n", "3 count: is line 2 again: put them together, with one count"),
        ("count,zzz\n5,red\n", "1 zzz: unknown column 'zzz': known are count, country, prefix"),
        ("number,provider,count\n+14155550100,bird,\n", "1 count: a row has a number, or a count in place of it"),
    ],
)
def test_a_bad_row_is_told_with_its_mend(text: str, problem: str) -> None:
    assert any(problem in one for one in told(text)), told(text)


def test_both_kinds_in_one_file_are_refused() -> None:
    rows = [{"count": 5, "prefix": "415"}, {"number": "+14155550100", "provider": "bird"}]
    [problem] = told(json.dumps(rows), "json")
    assert problem == "2 number: names a number, and line 1 has a count: put them into two files"
    [problem] = told(json.dumps(rows[::-1]), "json")
    assert problem == "2 count: has a count, and line 1 names a number: put them into two files"
    for text, format in (
        (json.dumps([{**rows[0], **rows[1]}]), "json"),
        ("number,provider,prefix,count,max_price\n+14155550100,bird,,,\n,bird,415,5,1 USD\n", "csv"),
    ):
        [problem] = told(text, format)
        assert problem == "1 count: a row has a number, or a count in place of it: put those into a file of their own"


def test_where_none_are_wanted_they_are_refused() -> None:
    how = {"name": "stock", "format": "csv", "kinds": kinds(), "default_provider": None, "country": None}
    [problem] = read_order(io.BytesIO(b"count,prefix\n5,415\n"), **how)  # type: ignore[arg-type]
    assert isinstance(problem, Problem)
    assert "here each row names a number" in problem.message


def test_a_header_without_rows_is_nothing() -> None:
    with pytest.raises(OrderFileError, match="has no rows"):
        read("count,prefix\n")
