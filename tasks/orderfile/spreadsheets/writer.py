"""Writing an export as a spreadsheet of one sheet, row by row. Every cell is text, so that none is changed.

The parts are those that ECMA-376 part 1, 11.3.10 and 12.3, demands of a workbook.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

from tasks.orderfile.columns import EXPORT_COLUMNS
from tasks.orderfile.export import plain_cell
from tasks.orderfile.rows import letters
from tasks.orderfile.text import OrderFileError

MAX_ROWS = 1_048_576
"""What a spreadsheet can hold, the header with it."""

_DECLARED = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets><sheet name="Results" sheetId="1" '
    'r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_LINKS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}
# what XML cannot hold, or would change; and what looks like its escape: ECMA-376 part 1, 22.9.2.19
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]|_(?=x[0-9A-Fa-f]{4}_)")


def write_workbook(
    rows: Iterable[Mapping[str, Any]], target: BinaryIO, columns: Sequence[str] = EXPORT_COLUMNS
) -> None:
    """Write *rows* to *target* as they come, each with *columns*. Raises OrderFileError for more than MAX_ROWS."""
    cells = ([plain_cell(row.get(column)) for column in columns] for row in rows)
    write_cells(chain([columns], cells), target)


def write_cells(rows: Iterable[Sequence[str]], target: BinaryIO) -> None:
    """Write rows of texts, the header first, as they come. Raises OrderFileError for more than MAX_ROWS."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, _DECLARED + content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'{_DECLARED}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            for number, row in enumerate(rows, 1):
                if number > MAX_ROWS:
                    raise OrderFileError(f"a spreadsheet holds {MAX_ROWS:,} rows: write it as CSV")
                sheet.write(_row(number, row))
            sheet.write(b"</sheetData></worksheet>")


def _row(number: int, cells: Iterable[str]) -> bytes:
    written = "".join(
        f'<c r="{letters(index)}{number}" t="inlineStr"><is><t xml:space="preserve">{_escaped(cell)}</t></is></c>'
        for index, cell in enumerate(cells)
        if cell
    )
    return f'<row r="{number}">{written}</row>'.encode()


def _escaped(text: str) -> str:
    return escape(_UNFIT.sub(lambda found: f"_x{ord(found[0]):04X}_", text))
