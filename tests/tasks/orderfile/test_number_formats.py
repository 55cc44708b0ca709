"""Numbers that a spreadsheet shows as others, by their format, or not at all: what is seen is what is asked for."""

from __future__ import annotations

import pytest

from tasks.orderfile import OrderFileError, Problem

from .reading import lines, read
from .workbooks import Raw, ods, packed, unpacked, xlsx

HEAD = ["number", "provider"]
OWN = 4155550100
SEEN_ALIKE = [
    "0",
    "General",
    "#,##0",
    "[<=9999999]###-####;(###) ###-####",
    "000-000-0000",
    "0.00E+00",
    '_-* #,##0\\ "EUR"_-;[Red]-0',
    "[$-407]0",
    "_+0*1",
]
SEEN_AS_OTHERS = ['"+"0', "+0", r"\+0", '"+1 "0', "00 0 1 0", '"00"0', r"\00", "[$+1-409]0", "(###) ###-####;+0"]


def sheet_of(format: str) -> bytes:
    return xlsx({"S": [HEAD, [Raw(f' s="2"><v>{OWN}</v>'), "bird"]]}, format=format)


def document_of(shown: str, more: str = "", value: str = str(OWN)) -> bytes:
    cell = f' office:value-type="float" office:value="{value}">{more}<text:p>{shown}</text:p>'
    return ods({"S": [HEAD, [Raw(cell), "bird"]]})


def refused(source: bytes) -> bool:
    """Whether the number is refused for how it is shown, in its own cell; or else bought as it stands."""
    (found,) = read(source, "order", country="US")
    if not isinstance(found, Problem):
        assert found.request.number == f"+1{OWN}"
        return False
    assert (found.place, found.column) == ("sheet 'S', cell A2", "number")
    assert "is shown as another number than it is" in found.message
    return True


@pytest.mark.parametrize("format", SEEN_ALIKE)
def test_what_only_groups_the_digits_is_read(format: str) -> None:
    assert not refused(sheet_of(format))


@pytest.mark.parametrize("format", SEEN_AS_OTHERS)
def test_what_shows_a_plus_or_digits_of_its_own_is_refused(format: str) -> None:
    """4155550100 with a plus before it is of Switzerland, and was bought in the US."""
    assert refused(sheet_of(format))


@pytest.mark.parametrize("shown", [str(OWN), "(415) 555-0100", "04155550100", "4,155,550,100.00", "4.16E+09", ""])
def test_a_document_shows_its_own_digits(shown: str) -> None:
    assert not refused(document_of(shown))


@pytest.mark.parametrize("shown", [f"+{OWN}", f"+1 {OWN}", f"1{OWN}", "4155551"])
def test_a_document_that_shows_others_is_refused(shown: str) -> None:
    assert refused(document_of(shown))


def test_a_remark_beside_a_number_is_none_of_it() -> None:
    remark = "<office:annotation><text:p>+49 30 1, says Ann</text:p></office:annotation>"
    assert not refused(document_of(str(OWN), remark))
    assert refused(document_of(f"+{OWN}", remark))


def test_a_text_is_read_as_it_is_whatever_its_format() -> None:
    cell = Raw(' s="2" t="inlineStr"><is><t>+14155550100</t></is>')
    assert lines(xlsx({"S": [HEAD, [cell, "bird"]]}, format="+0"))[0].request.number == "+14155550100"


def test_extra_data_is_kept_as_it_is() -> None:
    head = [*HEAD, "metadata.phone"]
    number, more = "+14155550100", Raw(f' s="2"><v>{OWN}</v>')
    (line,) = lines(xlsx({"S": [head, [number, "bird", more]]}, format="+0"))
    assert line.request.metadata == {"phone": str(OWN)}


ROW = '<row r="2"'
HIDDEN = {
    "by a filter": (xlsx, "xl/worksheets/s1.xml", ROW, f'{ROW} hidden="1"'),
    "by hand": (xlsx, "xl/worksheets/s1.xml", ROW, f'{ROW} hidden="true"'),
    "a document's": (ods, "content.xml", "<table:table-row>", '<table:table-row table:visibility="filter">'),
}


@pytest.mark.parametrize("how", HIDDEN)
@pytest.mark.parametrize("empty", [False, True], ids=["filled", "empty"])
def test_rows_that_nobody_sees_are_refused(how: str, empty: bool) -> None:
    """A person who filters a table asks for what is left of it. Empty rows may be hidden."""
    book, member, row, hidden = HIDDEN[how]
    source = book({"S": [HEAD, [None] if empty else ["+14155550100", "bird"], ["+14155550101", "bird"]]})
    parts = unpacked(source)
    first, second, *rest = parts[member].decode().split(row)
    before = row.join([first, second]) if book is ods else first
    after = row.join(rest) if book is ods else second
    source = packed({**parts, member: hidden.join([before, after])})
    if empty:
        assert [line.request.number for line in lines(source, "order")] == ["+14155550101"]
        return
    with pytest.raises(OrderFileError, match=r"sheet 'S' has rows that nobody sees, the first is 2: show all"):
        read(source, "order")
