"""Spreadsheets themselves: what a cell says, where a problem is, and what is refused whole."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import pytest

from tasks.orderfile import OrderFileError, Problem, Sheets
from tasks.orderfile.spreadsheets import sheets

from .reading import lines, read, told
from .workbooks import Raw, ods, packed, xlsx, xlsx_parts

HEAD = ["number", "provider", "metadata.x"]
N = "+12125550142"
BOTH = pytest.mark.parametrize("book", [xlsx, ods])
DATE = {
    xlsx: Raw(' s="1"><v>46024</v>'),
    ods: Raw(' office:value-type="date" office:date-value="2026-01-02"><text:p>02.01.26</text:p>'),
}
NO_VALUE = {xlsx: Raw("><f>A1</f><v></v>"), ods: Raw(' table:formula="of:=[.A1]">')}
ERROR = {
    xlsx: Raw(' t="e"><f>NA()</f><v>#N/A</v>'),
    ods: Raw(
        ' table:formula="of:=NA()" office:value-type="string" office:string-value="" calcext:value-type="error">'
        "<text:p>#N/A</text:p>"
    ),
}
TEXT_OF_FORMULA = {
    xlsx: Raw(' t="str"><f>"bi"&amp;"rd"</f><v>bird</v>'),
    ods: Raw(' table:formula="of:=1" office:value-type="string" office:string-value="bird"><text:p>bird</text:p>'),
}
EMPTY_OF_FORMULA = {
    xlsx: Raw(' t="str"><f>""</f><v></v>'),
    ods: Raw(' table:formula="of:=1" office:value-type="string" office:string-value=""><text:p></text:p>'),
}


def places(source, **options):
    return [(p.place, p.column, p.message) for p in read(source, "x", **options) if isinstance(p, Problem)]


def refused(source, **options):
    with pytest.raises(OrderFileError) as caught:
        read(source, "order.xlsx", **options)
    return str(caught.value)


@BOTH
@pytest.mark.parametrize("name", ["order.xlsx", "order.ods", "order.csv", "-"])
def test_a_number_is_read_as_text_or_as_a_number(book, name):
    rows = [
        HEAD,
        [N, "bird", "a"],
        [12125550143, "bird", 7],
        [12125550144.0, "bird", 0.25],
        [N[:-1] + "5", "bird", True],
    ]
    found = lines(book({"Orders": rows}), name)
    assert [line.request.number for line in found] == [N, "+12125550143", "+12125550144", "+12125550145"]
    assert [line.request.metadata["x"] for line in found] == ["a", "7", "0.25", "TRUE"]
    assert [line.line for line in found] == [2, 3, 4, 5]


@BOTH
def test_a_number_of_fifteen_digits_is_exact_and_a_longer_one_is_refused(book):
    rows = [
        HEAD,
        [N, "bird", 999999999999999],
        [12125550143, "bird", 1000000000000000],
        ["x", "bird", 12345678901234567],
    ]
    found = read(book({"S": rows}))
    assert found[0].request.metadata == {"x": "999999999999999"}
    assert [(p.place, p.column) for p in found[1:]] == [
        ("sheet 'S', cell C3", "metadata.x"),
        ("sheet 'S', cell C4", "metadata.x"),
    ]
    assert "more than 15 digits" in found[1].message
    ((_, column, message),) = places(book({"S": [HEAD, [123456789012345678, "bird", ""]]}))
    assert (column, "more than 15 digits" in message) == ("number", True)


@BOTH
def test_what_is_no_number_is_refused_with_its_cell(book):
    rows = [
        [None],
        [None, "provider", None, "number"],
        [None, "bird", None, DATE[book]],
        [None, "bird", None, 2125550142.5],
    ]
    rows += [[None, "bird", None, -9765432019], [None, "bird", None, ERROR[book]], [None, "bird", None, NO_VALUE[book]]]
    found = places(book({"My Sheet": rows}), country="US")
    assert [place for place, _, _ in found] == [f"sheet 'My Sheet', cell D{row}" for row in (3, 4, 5, 6, 7)]
    reasons = (
        "is a date to the spreadsheet",
        "has the fraction .5",
        "was computed",
        "has the error #N/A",
        "is not stored",
    )
    assert all(reason in message for reason, (_, _, message) in zip(reasons, found, strict=True))


@BOTH
def test_a_cell_without_a_value_is_not_empty_where_a_default_would_fill_it(book):
    for cell in (NO_VALUE[book], ERROR[book]):
        rows = [HEAD, [N, cell, ""]]
        ((place, column, _),) = places(book({"S": rows}), default_provider="vogent")
        assert (place, column) == ("sheet 'S', cell B2", "provider")
        ((place, column, _),) = places(book({"S": [HEAD, [N, "bird", cell]]}))
        assert (place, column) == ("sheet 'S', cell C2", "metadata.x")
        ((place, column, message),) = places(book({"S": [["number", "provider"], [N, "bird", None, cell]]}))
        assert (place, column, "in column D (number 4)" in message) == ("sheet 'S', row 2", None, True)
        assert len(lines(book({"S": [["number", "provider", "status"], [N, "bird", cell]]}))) == 1
        ((_, column, _),) = places(book({"S": [["number", "provider", cell], [N, "bird"]]}))
        assert column in ("(formula)", "#N/A")


@BOTH
def test_the_value_of_a_formula_is_read(book):
    rows = [
        HEAD,
        [N, TEXT_OF_FORMULA[book], EMPTY_OF_FORMULA[book]],
        [N[:-1] + "3", EMPTY_OF_FORMULA[book], DATE[book]],
    ]
    found = lines(book({"S": rows}), default_provider="vogent")
    assert [line.request.provider for line in found] == ["bird", "vogent"]
    assert [line.request.metadata for line in found] == [{}, {"x": "2026-01-02"}]


@BOTH
def test_the_first_sheet_or_the_one_that_is_named(book):
    source = book({"One": [HEAD, [N, "bird", "1"]], "Zw\u00f6lf": [HEAD, [N, "bird", "12"]], "Empty": []})
    assert lines(source)[0].request.metadata == {"x": "1"}
    assert lines(source, sheet="Zw\u00f6lf")[0].request.metadata == {"x": "12"}
    assert refused(source, sheet="two") == "order.xlsx: has no sheet 'two': there is 'One', 'Zw\u00f6lf', 'Empty'"
    told_ = refused(source, sheet="Empty")
    assert "sheet 'Empty' is empty: the first row names the columns" in told_
    assert told_.endswith("; --sheet names another: 'One', 'Zw\u00f6lf'")
    assert "has no rows: nothing to buy" in refused(book({"S": [HEAD]}))


def test_a_first_sheet_that_nobody_sees_is_not_chosen():
    source = xlsx({"Old": [HEAD, [N, "bird", "1"]], "New": [HEAD, [N, "bird", "2"]]}, hidden=["Old"])
    assert "the first sheet, 'Old', is hidden: say which one by --sheet" in refused(source)
    assert refused(source).endswith("by --sheet; there is 'New'")
    assert lines(source, sheet="New")[0].request.metadata == {"x": "2"}


@BOTH
def test_a_sheet_that_cannot_be_read_names_the_others(book):
    heard: list[Sheets] = []
    good = {f"N{n}": [HEAD, [N, "bird", "1"]] for n in range(11)}
    for first in ([], [[N, "bird"]], [HEAD]):
        told_ = refused(book({"S": first, **good}), on_sheet=heard.append)
        assert told_.endswith("; --sheet names another: " + ", ".join(f"'N{n}'" for n in range(10)) + " and 1 more")
        assert "--sheet" not in refused(book({"S": first}))
    assert heard == [Sheets("S", tuple(good))] * 3
    heard.clear()
    assert len(lines(book({"S": good["N0"], "T": []}), on_sheet=heard.append)) == 1
    assert str(heard[0]) == "sheet 'S' is read, and not 'T': --sheet names another"


def test_a_cover_with_merged_cells_names_the_other_sheets():
    tail = '<mergeCells count="1"><mergeCell ref="B2:B3"/></mergeCells>'
    assert refused(xlsx({"Cover": [HEAD], "B": [HEAD]}, tail=tail)).endswith("; --sheet names another: 'B'")


def test_a_sheet_is_for_spreadsheets():
    assert "is no spreadsheet, and has no sheet 'S'" in refused(f"number,provider\n{N},bird\n", sheet="S")


@BOTH
def test_a_sheet_without_a_header_says_so(book):
    assert "sheet 'S' row 1 is no header: the first row must name the columns" in refused(book({"S": [[N, "bird"]]}))


def test_other_columns_and_exports_are_read_as_in_a_csv():
    rows = [["line", "number", "status", "provider", "metadata"], [2, N, "failed", "bird", '{"a": 1}']]
    assert lines(xlsx({"S": rows}))[0].request.metadata == {"a": 1}
    assert places(xlsx({"S": [["number", "colour", "provider"], [N, "red", "bird"]]}))[0][:2] == (
        "sheet 'S', cell B1",
        "colour",
    )


def test_merged_cells_are_refused():
    told_ = refused(
        xlsx({"S": [HEAD, [N, "bird"]]}, tail='<mergeCells count="1"><mergeCell ref="B2:B3"/></mergeCells>')
    )
    assert "sheet 'S' has merged cells, B2:B3: unmerge them" in told_
    merged = Raw(' table:number-rows-spanned="2" office:value-type="string"><text:p>bird</text:p>')
    assert "sheet 'S' has merged cells in row 2" in refused(ods({"S": [HEAD, [N, merged]]}))


def test_what_is_alike_is_written_once_in_an_ods():
    again = Raw(' table:number-columns-repeated="2" office:value-type="string"><text:p>bird</text:p>')
    assert lines(ods({"S": [["number", "provider", "metadata.x"], [N, again]]}))[0].request.metadata == {"x": "bird"}
    cell = '<table:table-cell table:number-columns-repeated="16384"/>'
    empty = f'<table:table-row table:number-rows-repeated="1048000">{cell}</table:table-row>'
    assert len(lines(ods({"S": [HEAD, [N, "bird"]]}, more=empty))) == 1
    broken = Raw(' table:number-columns-repeated="2" table:formula="of:=1">')
    assert places(ods({"S": [HEAD, [N, broken]]}), default_provider="bird")[0][0] == "sheet 'S', cell B2"


CORNER = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
WIDE = (
    '<table:table-row table:number-rows-repeated="1000000"><table:table-cell office:value-type="float" '
    'table:number-columns-repeated="1000" office:value="1"/></table:table-row>'
)
MISPLACED = '<row r="1"><c r="A7"><v>1</v></c></row>'


def with_part(name, content):
    return packed({**xlsx_parts({"S": [HEAD]}), name: content})


def with_rows(rows):
    return with_part("xl/worksheets/s1.xml", f"<worksheet><sheetData>{rows}</sheetData></worksheet>")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"PK\x03\x04rest", "is damaged, or no spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is locked with a password, or an old .xls"),
        (xlsx({"S": [HEAD, [N, "bird"]]})[:-40], "is damaged"),
        (packed({"a.txt": "x"}), "is no spreadsheet that can be read"),
        (packed({"xl/workbook.bin": b"x"}), "is no spreadsheet that can be read"),
        (with_part("xl/worksheets/s1.xml", "<worksheet><sheetData>"), "is damaged"),
        (with_part("xl/workbook.xml", "no xml"), "is damaged"),
        (ods({"S": [HEAD]}, manifest="<manifest:encryption-data/>"), "is locked with a password"),
        (with_rows(CORNER), "sheet 'S' reaches to row 1,048,576 and column 16,384"),
        (ods({"S": [HEAD]}, more=WIDE), "sheet 'S' reaches to row 1,000,001 and column 1,000"),
        (with_rows(MISPLACED), "cell A7 stands in row 1"),
        (with_part("xl/_rels/workbook.xml.rels", "<Relationships/>"), "is damaged"),
    ],
    ids=range(12),
)
def test_a_spreadsheet_that_cannot_be_read_is_one_message(source, message):
    assert message in refused(source)
    assert refused(source).startswith("order.xlsx: ")


def test_a_spreadsheet_that_unpacks_to_much_is_one_message():
    source = with_part("xl/big.xml", bytes(300 * 1024 * 1024))
    assert refused(source).startswith("order.xlsx: ")
    assert "is larger than 256 MiB when unpacked" in refused(source)


def test_an_archive_that_lies_about_its_sizes_is_damaged():
    source = bytearray(xlsx({"S": [HEAD, [N, "bird"]]}))
    with zipfile.ZipFile(io.BytesIO(bytes(source))) as archive:
        size = archive.getinfo("xl/worksheets/s1.xml").file_size
    lie = bytes(source).replace(size.to_bytes(4, "little"), (size - 9).to_bytes(4, "little"))
    assert lie != source
    assert "is damaged" in refused(lie)


def test_an_archive_with_a_part_twice_is_damaged():
    target = io.BytesIO(xlsx({"S": [HEAD, [N, "bird"]]}))
    with zipfile.ZipFile(target, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("xl/worksheets/s1.xml", "<worksheet/>")
    assert "is damaged" in refused(target.getvalue())


def test_a_text_that_grows_is_no_spreadsheet():
    grown = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    sheet = f'<!DOCTYPE w [<!ENTITY e0 "a">{grown}]><w><row r="1"><c r="A1" t="e"><v>&e11;</v></c></row></w>'
    assert "is damaged" in refused(with_part("xl/worksheets/s1.xml", sheet))


@pytest.mark.parametrize("book", [xlsx, ods])
def test_only_the_sheet_that_is_read_must_be_right(book):
    rows = [HEAD, [N, "bird", NO_VALUE[book]]]
    assert len(lines(book({"Good": [HEAD, [N, "bird", ""]], "Bad": rows}))) == 1
    assert places(book({"Good": [HEAD], "Bad": rows}), sheet="Bad")[0][0] == "sheet 'Bad', cell C2"


@BOTH
def test_a_hundred_thousand_rows_take_little_memory(book, tmp_path):
    path = tmp_path / "order.xlsx"
    path.write_bytes(book({"S": [HEAD, *([12125000000 + n, "bird", f"customer {n}"] for n in range(100_000))]}))
    program = (
        "import sys; from pathlib import Path; from tasks.orderfile import Naming\n"
        "from tasks.orderfile.spreadsheets.archive import Archive\n"
        "from tasks.orderfile.spreadsheets.sheets import Sheet\n"
        "sheet = Sheet(Archive(open(sys.argv[1], 'rb'), b'', 'x'), None)\n"
        "assert sum(1 for _ in sheet.rows(Naming(), provider_given=False)) == 100_000\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 250 * 1024


def test_a_panic_of_the_reader_is_a_damaged_file(monkeypatch):
    class PanicException(BaseException):
        pass

    def panic(*_):
        raise PanicException

    monkeypatch.setattr(sheets, "CalamineWorkbook", SimpleNamespace(from_filelike=panic))
    assert "is damaged" in refused(xlsx({"S": [HEAD, [N, "bird"]]}))


def test_repeats_are_told_by_their_row():
    assert told(xlsx({"S": [HEAD, [N, "bird"], [12125550142, "bird"]]}), "x")[0][0] == 3
