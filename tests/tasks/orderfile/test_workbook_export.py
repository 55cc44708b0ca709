"""An export as a spreadsheet: every cell comes back as it was, and the sheet is an order again."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from tasks.orderfile import EXPORT_COLUMNS, OrderFileError
from tasks.orderfile.spreadsheets import writer

from .reading import lines
from .test_export import ROW


def written(rows):
    target = io.BytesIO()
    writer.write_workbook(rows, target)
    return target.getvalue()


def cells(source):
    return CalamineWorkbook.from_filelike(io.BytesIO(source)).get_sheet_by_index(0).to_python()


def test_every_cell_is_text_and_no_formula():
    header, row = cells(written([{**ROW, "error": "=1+1"}]))
    assert header == list(EXPORT_COLUMNS)
    found = dict(zip(header, row, strict=True))
    assert (found["number"], found["error"], found["attempts"], found["success"]) == (
        ROW["number"],
        "=1+1",
        "3",
        "false",
    )


def test_a_workbook_is_an_order_again():
    (line,) = lines(written([{**ROW, "idempotency_key": "=k"}]), "results.xlsx")
    request = line.request
    assert (request.number, request.provider, request.metadata) == (ROW["number"], ROW["provider"], ROW["metadata"])
    assert (request.options, request.idempotency_key) == (ROW["options"], "=k")


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
    | st.sampled_from(["_x0041_", "a_x000D_b", "\r\n"])
)
def test_any_text_comes_back(text):
    (line,) = lines(written([{**ROW, "metadata": {"a": text}}]))
    assert line.request.metadata == {"a": text}


def test_more_rows_than_a_sheet_has_are_refused(monkeypatch):
    monkeypatch.setattr(writer, "MAX_ROWS", 3)
    assert len(cells(written([ROW] * 2))) == 3
    with pytest.raises(OrderFileError, match="write it as CSV"):
        written([ROW] * 3)
