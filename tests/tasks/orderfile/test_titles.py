"""Titles above the header: one error that names its line, and the mend."""

from __future__ import annotations

import csv
import io

import pytest

from tasks.orderfile import Naming, OrderFileError

from .reading import lines, read, told
from .workbooks import ods, xlsx

N = "+12125550142"
HEADERS = [["Phone", "Provider"], ["Customer", "Phone", "Provider"], ["count", "prefix"]]
TITLES = [
    [["Numbers of spring"]],
    [["Phone numbers"], ["Sales", "2026-01-01"]],
    [["Report", "", "page 1"], [], ["Provider"], ["hotline", N], *[["a remark"]] * 4, ["Country:", "Germany"]],
]


def table(rows, delimiter):
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    return stream.getvalue()


def refused(source, name="order.csv", **options):
    with pytest.raises(OrderFileError) as caught:
        read(source, name, **options)
    return str(caught.value)


@pytest.mark.parametrize("titles", TITLES, ids=range(3))
@pytest.mark.parametrize("header", HEADERS, ids=range(3))
def test_the_header_below_a_title_is_named(titles, header):
    rows = [*titles, header, *[[N, "bird"]] * 50]
    at = len(titles) + 1
    for delimiter in ",;\t":
        mend = f"line {at} seems to be the header: delete the lines above it"
        assert refused(table(rows, delimiter)) == f"order.csv: {mend}"
    for book in (xlsx, ods):
        mend = f"sheet 'S' row {at} seems to be the header: delete the rows above it"
        assert refused(book({"S": rows}), "x") == f"x: {mend}"


def test_who_does_as_it_says_has_an_order():
    rows = [["Our numbers"], [], ["Phone", "Provider"], [N, "bird"]]
    assert "line 3 seems to be" in refused(table(rows, ","))
    assert len(lines(table(rows[2:], ","))) == len(lines(xlsx({"S": rows[2:]}), "x")) == 1


@pytest.mark.parametrize("header", [["Phone"], ["Phone", "Customer", "Town"]])
def test_a_header_with_one_of_our_columns_is_found_too(header):
    naming = Naming({}, "metadata")
    told_ = refused(table([["Spring"], header, [N, "a", "b"]], ","), default_provider="bird", naming=naming)
    assert "line 2 seems to be the header" in told_


def test_a_header_by_the_names_that_were_given_is_found():
    rows = [["Liste"], ["Rufnummer", "Anbieter"], [N, "bird"]]
    naming = Naming({"rufnummer": "number", "anbieter": "provider"})
    assert "line 2 seems to be the header" in refused(table(rows, ";"), naming=naming)


@pytest.mark.parametrize(
    "rows",
    [
        [["Telefon", "Anbieter", "Art"], ["", "telekom", "mobile"], [N, "telekom", "mobile"]],
        [["Telefon", "carrier"], ["phone", "bird"]],
        [["number", "colour"], [N, "provider"], ["number", "colour"]],
        [["Liste"], *[["x"]] * 9, ["Phone", "Provider"]],
        [["Liste"], ["x" * 200_000], ["Phone", "Provider"]],
    ],
    ids=range(5),
)
def test_a_row_with_the_name_of_a_column_is_no_header(rows):
    sources = [(table(rows, ","), "x.csv")]
    # of a spreadsheet each cell can be read
    sources += [] if len(rows[1][0]) > 1000 else [(xlsx({"S": rows}), "x")]
    for found in (told(*source) for source in sources):
        assert all(line == 1 for line, _, _ in found)
        assert found
