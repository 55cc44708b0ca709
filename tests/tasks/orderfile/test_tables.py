"""CSV order files: headers, cells, quotes, delimiters and line numbers."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.requests import BuyNumber
from tasks.orderfile import Line, OrderFileError

from .reading import lines, read, told

STOCK = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"


def test_each_row_is_a_purchase_with_its_line():
    text = f"number,provider,idempotency_key,options.stock_item_id,metadata.team\n+14155550100,bird,k-1,{STOCK},red\n"
    assert lines(text) == [
        Line(
            2,
            BuyNumber(
                number="+14155550100",
                provider="bird",
                idempotency_key="k-1",
                options={"stock_item_id": STOCK},
                metadata={"team": "red"},
            ),
        )
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_the_delimiter_is_found_in_the_header(delimiter, ending):
    rows = [["number", "provider", "metadata.a,b;c"], ["+14155550100", "bird", "x,y;z"]]
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, lineterminator=ending).writerows(rows)
    (line,) = lines(stream.getvalue())
    assert (line.line, line.request.metadata) == (2, {"a,b;c": "x,y;z"})


@pytest.mark.parametrize("name", ["order.tsv", "order.csv", "order.txt", "-"])
def test_a_tab_is_a_delimiter_under_any_name(name):
    assert len(lines("number\tprovider\n+14155550100\tbird\n", name)) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_encodings_of_spreadsheets_are_read(encoding):
    text = "number;provider;metadata.ort\r\n+14155550100;bird;Z\u00fcrich \U0001f600\r\n"
    (line,) = lines(text.encode(encoding))
    assert line.request.metadata == {"ort": "Z\u00fcrich \U0001f600"}


def test_blanks_around_cells_and_headers_are_dropped_and_case_is_ignored():
    (line,) = lines(' NUMBER , "Provider" ,Metadata.Team Name\n +14155550100 ,  "bird", red \n'.replace('" ,', '",'))
    assert (line.request.provider, line.request.metadata) == ("bird", {"Team Name": "red"})


def test_blank_lines_are_skipped_and_counted():
    text = "\n \nnumber,provider\n\n+14155550100,bird\n,\n  ,  \n\n+14155550101,bird\n\n"
    assert [line.line for line in lines(text)] == [5, 9]


def test_a_quoted_cell_may_hold_delimiters_quotes_and_line_ends():
    text = 'number,provider,metadata.note\n+14155550100,bird,"a ""b"", c\nd"\n+14155550101,bird,e\n+1,bird,\n'
    first, second, problem = read(text)
    assert isinstance(first, Line)
    assert (first.line, first.request.metadata) == (2, {"note": 'a "b", c\nd'})
    assert (second.line, problem.line) == (4, 5)


def test_dots_in_a_metadata_name_belong_to_it():
    (line,) = lines("number,provider,metadata.customer.name\n+14155550100,bird,Ann\n")
    assert line.request.metadata == {"customer.name": "Ann"}


def test_empty_optional_cells_mean_absent():
    (line,) = lines("number,provider,idempotency_key,options.stock_item_id,metadata.a\n+14155550100,bird,, ,\n")
    assert line.request == BuyNumber(number="+14155550100", provider="bird")


def test_a_default_provider_fills_the_empty_cells():
    found = lines("number,provider\n+14155550100,\n+14155550101,vogent\n", default_provider="bird")
    assert [line.request.provider for line in found] == ["bird", "vogent"]
    assert lines("number\n+14155550100\n", default_provider="bird")[0].request.provider == "bird"


def test_without_a_default_provider_each_row_needs_one():
    assert told("number,provider\n+14155550100,\n") == [
        (2, "provider", "is missing: name it, or one provider for the whole file")
    ]


@pytest.mark.parametrize(
    ("header", "column", "message"),
    [
        ("numbr,provider", "numbr", "unknown column 'numbr': did you mean 'number'? metadata.NAME carries extra data"),
        ("number,provider,customer", "customer", "metadata.NAME carries extra data"),
        ("number,provider,metadata.", "metadata.", "metadata.NAME carries extra data"),
        ("number,provider,options.stock_id", "options.stock_id", "did you mean 'options.stock_item_id'?"),
        ("number,provider,Number", "number", "is there twice: remove one"),
        ("number,provider,metadata.a, metadata.a ", "metadata.a", "is there twice: remove one"),
        ("number", "provider", "is missing: add it, or name one provider for the whole file"),
        ("provider", "number", "is missing"),
    ],
)
def test_a_wrong_header_is_told_once_by_its_column(header, column, message):
    cells = "," * header.count(",")
    found = told(f"\n{header}\n+14155550100{cells}\n+14155550101{cells}\n")
    assert (found[0][0], found[0][1]) == (2, column)
    assert message in found[0][2]
    assert all(line == 2 for line, _, _ in found)


def test_all_problems_of_a_header_are_told():
    assert [column for _, column, _ in told("nr,colour,colour,provider,provider\nx,x,x,x,x\n")] == [
        "nr",
        "colour",
        "colour",
        "provider",
        "number",
    ]


def test_a_column_that_is_no_option_of_the_rows_provider_is_told_only_where_it_is_filled():
    text = "number,provider,options.stock_item_id\n+14155550100,vogent,\n+14155550101,vogent,x\n"
    good, bad = read(text)
    assert isinstance(good, Line)
    assert (bad.line, bad.column) == (3, "options.stock_item_id")
    assert bad.message == "unknown field: this provider takes none"


def test_too_many_cells_are_that_lines_problem():
    found = read("number,provider\n+14155550100,bird,,x\n+14155550101,bird\n")
    assert (found[0].line, found[0].column) == (2, None)
    assert found[0].message.startswith("has 4 cells where the header has 2")
    assert isinstance(found[1], Line)


def test_cells_that_are_missing_at_the_end_are_empty():
    text = "number,metadata.a,provider,metadata.b\n+14155550100,x,bird\n+14155550101\n+14155550102,,vogent,y,\n"
    first, bad, last = read(text)
    assert (first.request.metadata, last.request.metadata) == ({"a": "x"}, {"b": "y"})
    assert (bad.line, bad.column) == (3, "provider")
    assert [line.request.provider for line in lines(text, default_provider="bird")] == ["bird", "bird", "vogent"]


def test_quotes_that_do_not_match_are_that_lines_problem():
    bad, good = read('number,provider\n"+14155550100"x,bird\n+14155550101,bird\n')
    assert (bad.line, bad.column) == (2, None)
    assert "its quotes do not match" in bad.message
    assert good.line == 3


@pytest.mark.parametrize("tail", ["", "+14155550101,bird\n" * 10_000])
def test_a_quote_that_never_closes_swallows_no_rows(tail):
    with pytest.raises(OrderFileError, match=r"^order\.csv: line 2: a quote opens a cell and never closes it"):
        read(f'number,provider\n+14155550100,"bird\n{tail}')


@pytest.mark.parametrize("first", ["+14155550100,bird", "14155550100;bird", "(415) 555-0100"])
def test_a_file_without_a_header_says_so(first):
    with pytest.raises(OrderFileError, match="line 1 is no header: the first line must name the columns, like number"):
        read(f"{first}\n+14155550101,bird\n")


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8).filter(
    str.strip
)
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@st.composite
def tables(draw):
    names = draw(st.lists(NAMES.map(str.strip), max_size=3, unique=True))
    numbers = draw(st.lists(st.integers(0, 9999).map(lambda n: f"+1415555{n:04d}"), min_size=1, unique=True))
    return names, [[number, "bird", *[draw(CELLS) for _ in names]] for number in numbers]


@given(
    tables(),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_table_that_was_written_reads_back(table, delimiter, encoding, quoting):
    names, rows = table
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\r\n", quoting=quoting)
    # a line end in a header is refused by no one, but no one writes it
    names = [" ".join(name.split()) for name in names]
    if len(set(names)) < len(names):
        return
    writer.writerow(["number", "provider", *(f"metadata.{name}" for name in names)])
    writer.writerows(rows)
    requests = [line.request for line in lines(stream.getvalue().encode(encoding))]
    assert [request.number for request in requests] == [row[0] for row in rows]
    for request, row in zip(requests, rows, strict=True):
        cells = {name: cell.strip() for name, cell in zip(names, row[2:], strict=True)}
        assert request.metadata == {name: cell for name, cell in cells.items() if cell}
        assert BuyNumber.model_validate(request.model_dump()) == request


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_problems_or_an_error_of_the_file(data):
    try:
        found = read(b"number,provider\n" + data)
    except OrderFileError as exc:
        assert str(exc).startswith("order.csv: ")  # noqa: PT017 - either end is right
        return
    assert found
