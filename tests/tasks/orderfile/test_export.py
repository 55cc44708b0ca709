"""Exports: their columns, formulas, and that an export is an order again."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.orderfile import EXPORT_COLUMNS, write_export

from .reading import lines, told

ROW = {
    "line": 2,
    "number": "+14155550100",
    "provider": "bird",
    "status": "failed",
    "success": False,
    "error_code": "not_available",
    "error": '=HYPERLINK("http://evil.example")',
    "provider_number_id": None,
    "already_owned": True,
    "attempts": 3,
    "purchase_id": UUID("3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
    "finished_at": datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
    "monthly_price": "1.00",
    "setup_price": None,
    "currency": "USD",
    "metadata": {"team": "red", "n": 1},
    "options": {"stock_item_id": "8a1b6f0c-4f89-41d3-9a0c-0305e82c3301"},
    "idempotency_key": "crm-1",
    "version": "r7-647a1c0b2d3e4",
    "wish": None,
}


def export(rows, format):
    target = io.StringIO(newline="")
    write_export(rows, target, format)
    return target.getvalue()


def table(rows):
    return list(csv.DictReader(io.StringIO(export(rows, "csv"), newline="")))


def test_csv_has_a_header_and_a_row_for_each_line():
    assert export([], "csv").strip().split(",") == list(EXPORT_COLUMNS)
    (row,) = table([ROW])
    assert row == {
        "line": "2",
        "number": "+14155550100",
        "provider": "bird",
        "status": "failed",
        "success": "false",
        "error_code": "not_available",
        "error": '\'=HYPERLINK("http://evil.example")',
        "provider_number_id": "",
        "already_owned": "true",
        "attempts": "3",
        "purchase_id": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "finished_at": "2026-03-01T12:30:00+00:00",
        "monthly_price": "1.00",
        "setup_price": "",
        "currency": "USD",
        "metadata": '{"team": "red", "n": 1}',
        "options": '{"stock_item_id": "8a1b6f0c-4f89-41d3-9a0c-0305e82c3301"}',
        "idempotency_key": "crm-1",
        "version": "r7-647a1c0b2d3e4",
        "wish": "",
    }


@pytest.mark.parametrize(
    "column", ["error", "error_code", "provider_number_id", "metadata", "status", "options", "idempotency_key"]
)
@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_foreign_text_begins_a_formula(column, start):
    assert table([{**ROW, column: start}])[0][column] == f"'{start}"


def test_other_text_is_left_as_it_is():
    assert table([{**ROW, "error": "a=b, \u00fc\n'c'"}])[0]["error"] == "a=b, \u00fc\n'c'"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_json_is_a_list_of_objects(count):
    assert json.loads(export([ROW] * count, "json")) == [json.loads(export([ROW], "ndjson"))] * count


def test_an_object_has_every_column_with_its_type():
    found = json.loads(export([ROW], "ndjson"))
    assert list(found) == list(EXPORT_COLUMNS)
    assert found == {**ROW, "purchase_id": str(ROW["purchase_id"]), "finished_at": "2026-03-01T12:30:00+00:00"}


@pytest.mark.parametrize("format", ["csv", "json", "ndjson"])
def test_rows_are_written_as_they_come(format):
    target = io.StringIO()
    sizes = []

    def rows():
        for line in range(3):
            sizes.append(len(target.getvalue()))
            yield {**ROW, "line": line}

    write_export(rows(), target, format)
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("format", ["csv", "json", "ndjson"])
def test_an_export_is_an_order_again(format):
    bare = {"metadata": None, "options": {}, "idempotency_key": None}
    rows = [ROW, {**ROW, **bare, "number": "+14155550101"}, {**ROW, **bare, "number": "+14155550102", "metadata": {}}]
    requests = [line.request for line in lines(export(rows, format), f"x.{format}")]
    assert [(r.number, r.provider, r.metadata, r.options, r.idempotency_key) for r in requests] == [
        ("+14155550100", "bird", ROW["metadata"], ROW["options"], "crm-1"),
        ("+14155550101", "bird", {}, {}, None),
        ("+14155550102", "bird", {}, {}, None),
    ]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200))
@example("=1+1")
@example("'=1+1")
@example("''")
@example("'plain'")
def test_every_key_survives_the_way_out_and_in_and_is_no_formula(key):
    row = {**ROW, "idempotency_key": key}
    (cell,) = [cells["idempotency_key"] for cells in table([row])]
    assert not cell.startswith(("=", "+", "-", "@"))
    assert [line.request.idempotency_key for line in lines(export([row], "csv"), "x.csv")] == [key]


@pytest.mark.parametrize("key", ["'=1", "''x", "'@a"])
def test_a_key_that_may_be_an_exports_or_not_is_refused(key):
    text = f"number,provider,idempotency_key\n+14155550100,bird,{key}\n"
    ((line, column, message),) = told(text, "x.csv")
    assert (line, column) == (2, "idempotency_key")
    assert message.startswith(f"is '{key[1:]}' if it comes from an export" if key[1] != "'" else "is")
    (element,) = lines(json.dumps({"number": "+14155550100", "provider": "bird", "idempotency_key": key}), "x.ndjson")
    assert element.request.idempotency_key == key


def test_a_key_that_is_in_no_two_ways_is_taken_as_it_is():
    text = "number,provider,idempotency_key\n+14155550100,bird,'a'\n"
    assert lines(text, "x.csv")[0].request.idempotency_key == "'a'"


def test_the_options_of_an_export_are_checked_like_any():
    row = {**ROW, "options": {"inbound_agent": "of another provider"}}
    ((line, column, _),) = told(export([row], "csv"))
    assert (line, column) == (2, "options.inbound_agent")


@pytest.mark.parametrize("format", ["csv", "json", "ndjson"])
def test_an_export_of_an_earlier_release_is_an_order_still(format):
    text = export([ROW], "ndjson")
    former = {name: value for name, value in json.loads(text).items() if name != "version"}
    if format == "csv":
        rows = [row[:-1] for row in csv.reader(io.StringIO(export([ROW], "csv"), newline=""))]
        target = io.StringIO(newline="")
        csv.writer(target).writerows(rows)
        text = target.getvalue()
    else:
        text = json.dumps([former] if format == "json" else former)
    [line] = lines(text, f"x.{format}")
    assert (line.request.number, line.request.idempotency_key) == ("+14155550100", "crm-1")


def test_an_export_may_come_back_with_another_delimiter_and_fewer_rows():
    rows = csv.reader(io.StringIO(export([ROW], "csv")))
    stream = io.StringIO()
    csv.writer(stream, delimiter=";").writerows(rows)
    assert lines(stream.getvalue().encode("utf-8-sig"))[0].request.metadata == {"team": "red", "n": 1}


@pytest.mark.parametrize("left", [1, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_an_export_may_be_trimmed_to_any_of_its_columns(left, seed):
    kept = random.Random(seed).sample([c for c in EXPORT_COLUMNS if c not in ("number", "provider")], left)
    columns = [*kept, "number", "provider"]
    row = {**ROW, "idempotency_key": "-key"}
    target = io.StringIO(newline="")
    csv.DictWriter(target, columns, extrasaction="ignore", delimiter=";").writeheader()
    csv.DictWriter(target, columns, extrasaction="ignore", delimiter=";").writerows(table([row]))
    element = {name: value for name, value in json.loads(export([row], "ndjson")).items() if name in columns}
    for text, name in ((target.getvalue(), "x.csv"), (json.dumps([element]), "x.json")):
        if name == "x.csv" and kept == ["idempotency_key"]:
            continue  # nothing shows that it is one
        (line,) = lines(text, name)
        assert line.request.metadata == (row["metadata"] if "metadata" in kept else {})
        assert line.request.options == (row["options"] if "options" in kept else {})
        assert line.request.idempotency_key == ("-key" if "idempotency_key" in kept else None)


def test_a_column_beside_an_exports_is_told():
    text = export([ROW], "csv").replace("line,number", "row,number", 1)
    assert [column for _, column, _ in told(text)] == ["row"]
    element = json.loads(export([ROW], "ndjson"))
    element["row"] = element.pop("line")
    assert [column for _, column, _ in told(json.dumps([element]), "x.json")] == ["row"]


def test_metadata_that_stands_there_twice_may_not_differ():
    text = 'number,provider,metadata,metadata.a\n+14155550100,bird,"{""a"": ""1""}",%s\n'
    assert lines(text % "1")[0].request.metadata == {"a": "1"}
    ((line, column, message),) = told(text % "2")
    assert (line, column, message) == (2, "metadata.a", "is another in the column metadata: remove one of them")


@pytest.mark.parametrize("cell", ["red", "[1]", "{", '"a"', "{" * 100_000])
@pytest.mark.parametrize("group", ["metadata", "options"])
def test_an_exports_objects_must_still_be_their_json(group, cell):
    ((line, column, message),) = told(export([{**ROW, group: cell}], "csv"))
    assert (line, column) == (2, group)
    assert "is not a JSON object" in message


JSON_OBJECTS = st.dictionaries(
    st.text("ab.=+- ", min_size=1, max_size=4),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("=+-@'\"\n\r\t,;ab\u00fc", max_size=8),
    max_size=3,
)


@given(st.lists(JSON_OBJECTS, min_size=1, max_size=5), st.sampled_from(["csv", "json", "ndjson"]))
def test_metadata_survives_the_way_out_and_in(metadatas, format):
    rows = [
        {**ROW, "number": f"+1415555{i:04d}", "metadata": metadata, "idempotency_key": None}
        for i, metadata in enumerate(metadatas)
    ]
    assert [line.request.metadata for line in lines(export(rows, format), f"x.{format}")] == metadatas
