"""Metadata goes out in the columns in which it came, and comes back as it was."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.orderfile import write_export
from tasks.orderfile.metadata_columns import MOST, metadata_columns, spread, with_metadata
from tasks.orderfile.spreadsheets.writer import write_workbook

from .reading import lines
from .test_export import ROW

TEXTS = st.text("=+-@'\"\n,;ab0179.e \u00fc\u200b\u00a0", max_size=6)
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | TEXTS
METADATA = st.dictionaries(st.text("ab.A= \u200b", min_size=1, max_size=3), VALUES, max_size=4)


def exported(metadatas: list[dict[str, Any]], kind: str) -> bytes:
    columns = metadata_columns(metadatas)
    rows = [
        {**ROW, "number": f"+1415555{n:04d}", "metadata": metadata, "idempotency_key": None}
        for n, metadata in enumerate(metadatas)
    ]
    if kind == "csv":
        text = io.StringIO(newline="")
        write_export(spread(rows, columns), text, "csv", with_metadata(columns))
        return text.getvalue().encode()
    target = io.BytesIO()
    write_workbook(spread(rows, columns), target, with_metadata(columns))
    return target.getvalue()


@given(st.lists(METADATA, min_size=1, max_size=4), st.sampled_from(["csv", "xlsx"]))
@example([{"a": "x"}, {"a": "'=1"}, {"a": "=1"}, {"b": 1}], "csv")
@example([{"a": "007"}, {"a": "1e5"}, {"A": "x", "a": "y"}], "xlsx")
def test_it_survives_the_way_out_and_in(metadatas: list[dict[str, Any]], kind: str) -> None:
    assert [line.request.metadata for line in lines(exported(metadatas, kind), f"x.{kind}")] == metadatas


def test_what_came_in_columns_goes_out_in_columns() -> None:
    metadatas = [{"customer": "acme", "note": "two words"}, {"customer": "globex"}]
    header, first, *_ = exported(metadatas, "csv").decode().splitlines()
    assert "currency,metadata.customer,metadata.note,metadata,options" in header
    assert ",USD,acme,two words,," in first


@pytest.mark.parametrize(
    "value", ["007", "1e5", "2026-01-31", "=1", "-x", "'x", " x", "x\ny", "TRUE", "", 5, None, {}, "9" * 12]
)
def test_what_a_reader_or_a_spreadsheet_would_change_stays_in_its_object(value: Any) -> None:
    assert metadata_columns([{"a": "fits", "b": "fits"}, {"a": value, "b": "8"}]) == ("metadata.b",)


def test_a_table_has_only_so_many_of_them() -> None:
    many = {f"n{n}": "x" for n in range(MOST + 5)}
    assert len(metadata_columns([many])) == MOST
    assert [line.request.metadata for line in lines(exported([many], "csv"))] == [many]
