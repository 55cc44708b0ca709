"""Spreadsheets for tests, written part by part so that each may be as odd as people's are."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns"

Rows = Sequence[Sequence[Any]]
"""Text, numbers, booleans; None for no cell; Raw for a cell's own XML."""


class Raw(str):
    """The attributes and the inside of a cell, as in ` t="e"><v>#N/A</v>`."""


def packed(parts: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def unpacked(source: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(source)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def xlsx(sheets: Mapping[str, Rows], *, hidden: Sequence[str] = (), tail: str = "", format: str = "0") -> bytes:
    """A workbook; style 1 is a date, and style 2 of *format*. *tail* follows the rows of each sheet."""
    return packed(xlsx_parts(sheets, hidden=hidden, tail=tail, format=format))


def xlsx_parts(
    sheets: Mapping[str, Rows], *, hidden: Sequence[str] = (), tail: str = "", format: str = "0"
) -> dict[str, str | bytes]:
    listed, related, typed = [], [], []
    parts: dict[str, str | bytes] = {}
    for n, (name, rows) in enumerate(sheets.items(), 1):
        state = ' state="hidden"' if name in hidden else ""
        listed.append(f'<sheet name={quoteattr(name)} sheetId="{n}"{state} r:id="r{n}"/>')
        related.append(f'<Relationship Id="r{n}" Type="{_REL}/worksheet" Target="worksheets/s{n}.xml"/>')
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
        typed.append(f'<Override PartName="/xl/worksheets/s{n}.xml" ContentType="{kind}"/>')
        body = "".join(_xlsx_row(at, row) for at, row in enumerate(rows, 1))
        parts[f"xl/worksheets/s{n}.xml"] = f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData>{tail}</worksheet>'
    related.append(f'<Relationship Id="st" Type="{_REL}/styles" Target="styles.xml"/>')
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    return {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" '
        f'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{main}"/>'
        f"{''.join(typed)}</Types>",
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{_REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_REL}"><sheets>{"".join(listed)}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{"".join(related)}'
        "</Relationships>",
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts><numFmt numFmtId="164" formatCode={quoteattr(format)}/>'
        '</numFmts><cellStyleXfs><xf numFmtId="164"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/>'
        '<xf numFmtId="164"/></cellXfs></styleSheet>',
        **parts,
    }


def _xlsx_row(at: int, row: Sequence[Any]) -> str:
    cells = "".join(f'<c r="{_letters(n)}{at}"{_xlsx_cell(cell)}</c>' for n, cell in enumerate(row) if cell is not None)
    return f'<row r="{at}">{cells}</row>'


def _xlsx_cell(cell: Any) -> str:
    if isinstance(cell, Raw):
        return cell
    if isinstance(cell, str):
        return f' t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is>'
    return f' t="b"><v>{int(cell)}</v>' if isinstance(cell, bool) else f"><v>{cell}</v>"


def _letters(index: int) -> str:
    return (_letters(index // 26 - 1) if index > 25 else "") + chr(ord("A") + index % 26)


def ods(sheets: Mapping[str, Rows], *, more: str = "", manifest: str = "") -> bytes:
    """A document; *more* is XML behind the rows of each table."""
    tables = "".join(
        f"<table:table table:name={quoteattr(name)}>"
        + "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
        + f"{more}</table:table>"
        for name, rows in sheets.items()
    )
    names = " ".join(f'xmlns:{one}="{_OFFICE}:{one}:1.0"' for one in ("office", "table", "text"))
    content = (
        f'<office:document-content {names} xmlns:calcext="urn:org:documentfoundation:names:calc:xmlns:calcext:1.0">'
        f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    entry = manifest or f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
    listed = f'<manifest:manifest xmlns:manifest="{_OFFICE}:manifest:1.0">{entry}</manifest:manifest>'
    return packed({"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": listed})


def _ods_cell(cell: Any) -> str:
    if isinstance(cell, Raw):
        return f"<table:table-cell{cell}</table:table-cell>"
    if cell is None:
        return "<table:table-cell/>"
    if isinstance(cell, str):
        return f'<table:table-cell office:value-type="string"><text:p>{escape(cell)}</text:p></table:table-cell>'
    if isinstance(cell, bool):
        value = f'office:value-type="boolean" office:boolean-value="{str(cell).lower()}"'
    else:
        value = f'office:value-type="float" office:value="{cell}"'
    return f"<table:table-cell {value}><text:p>{cell}</text:p></table:table-cell>"
