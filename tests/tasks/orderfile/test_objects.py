"""JSON and NDJSON order files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.requests import BuyNumber
from tasks.orderfile import Line, OrderFileError

from .reading import lines, read, told

ONE = {"number": "+14155550100", "provider": "bird"}
TWO = {"number": "+14155550101", "provider": "vogent", "metadata": {"a": [1, None]}, "idempotency_key": "k"}


def ndjson(*elements):
    return "".join(json.dumps(element) + "\n" for element in elements)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"requests": rows}])
@pytest.mark.parametrize("name", ["order.json", "-"])
def test_a_list_alone_or_under_requests(wrap, indent, name):
    found = lines(json.dumps(wrap([ONE, TWO]), indent=indent), name)
    assert found == [Line(1, BuyNumber(**ONE)), Line(2, BuyNumber(**TWO))]


@pytest.mark.parametrize("name", ["order.ndjson", "order.JSONL", "-"])
def test_one_object_a_line(name):
    found = lines("\n" + ndjson(ONE) + "  \r\n" + ndjson(TWO), name)
    assert found == [Line(2, BuyNumber(**ONE)), Line(4, BuyNumber(**TWO))]


def test_the_format_asked_for_beats_the_name():
    assert len(lines(ndjson(ONE, TWO), "order.csv", format="ndjson")) == 2
    assert len(lines(json.dumps([ONE]), "order.ndjson", format="json")) == 1
    assert len(lines("number,provider\n+14155550100,bird\n", "order.json", format="csv")) == 1


def test_byte_order_marks_are_no_content():
    for encoding in ("utf-8-sig", "utf-16"):
        assert len(lines(json.dumps([ONE]).encode(encoding), "-")) == 1
        assert len(lines(ndjson(ONE, TWO).encode(encoding), "-")) == 2


def test_dotted_names_and_objects_mean_the_same():
    dotted = {**ONE, "Provider": "fluents", "options.inbound_agent": "Ann", "metadata.a.b": 1, "metadata": {"c": 2}}
    del dotted["provider"]
    (line,) = lines(json.dumps([dotted]), "x.json")
    assert line.request.options == {"inbound_agent": "Ann"}
    assert line.request.metadata == {"a.b": 1, "c": 2}


def test_metadata_keeps_its_types_and_empty_values():
    metadata = {"a": None, "b": "", "c": {"d": [1.5, True]}, " e ": " f "}
    (line,) = lines(json.dumps([{**ONE, "metadata": metadata}]), "x.json")
    assert line.request.metadata == metadata


def test_null_and_empty_optional_fields_mean_absent():
    (line,) = lines(json.dumps([{**ONE, "options": None, "metadata": None, "idempotency_key": ""}]), "x.json")
    assert line.request == BuyNumber(**ONE)


@pytest.mark.parametrize("number", ["14155550100", "14155550100.0", '"+1 (415) 555-0100"'])
def test_a_number_may_be_a_json_number(number):
    (line,) = lines(f'[{{"number": {number}, "provider": "bird"}}]', "x.json")
    assert line.request.number == "+14155550100"


@pytest.mark.parametrize("number", ["1.41556e+10", "1.41555501E10", "4.91512e11"])
def test_a_json_number_with_an_exponent_may_have_been_rounded(number):
    for text, name in ((f'[{{"number": {number}}}]', "x.json"), (f'{{"number": {number}}}\n', "x.ndjson")):
        ((_, column, message),) = told(text, name, default_provider="bird")
        assert column == "number"
        assert "may have been rounded" in message


@pytest.mark.parametrize("number", ["14155550100.5", "true", "[]", "{}", "-14155550100", "0", "1e400", "9" * 400, "1"])
def test_other_json_values_are_no_number(number):
    ((line, column, message),) = told(f'[{{"number": {number}, "provider": "bird"}}]', "x.json")
    assert (line, column) == (1, "number")
    assert "number" in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("fields", "column", "message"),
    [
        ({"numbr": "x"}, "numbr", "unknown column 'numbr': did you mean 'number'?"),
        ({"customer": "x"}, "customer", "metadata.NAME carries extra data"),
        ({"metadata": [1]}, "metadata", "must be an object"),
        ({"options": "x"}, "options", "must be an object"),
        ({"options": {"stock_item": "x"}}, "options.stock_item", "unknown field: did you mean 'stock_item_id'?"),
        ({"metadata": {"a": 1}, "metadata.a": 2}, "metadata.a", "is given twice: remove one"),
        ({"Number": "+14155550101"}, "number", "is given twice: remove one"),
        ({"idempotency_key": 5}, "idempotency_key", "must be text"),
        ({"provider": 5}, "provider", "must be text"),
        ({"metadata": {"a": "x" * 9000}}, "metadata", "8192 at most"),
        ({"metadata": {"a": "\x00"}}, "metadata", "NUL"),
    ],
)
def test_a_wrong_field_is_told_by_its_column(fields, column, message):
    found = read(ndjson(TWO, {**ONE, **fields}), "x.ndjson")
    assert isinstance(found[0], Line)
    assert (found[1].line, found[1].column) == (2, column)
    assert message in found[1].message


@pytest.mark.parametrize("element", [5, "x", [], None])
def test_what_is_no_object_is_that_lines_problem(element):
    for source, name in ((ndjson(ONE, element), "x.ndjson"), (json.dumps([ONE, element]), "x.json")):
        ((line, column, message),) = told(source, name)
        assert (line, column) == (2, None)
        assert message.startswith('must be an object like {"number"')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ('{"number": NaN}', "NaN is no JSON"),
        ('{"number": "a", "number": "b"}', "a name stands twice in one object"),
        ("[" * 100_000, "nested too deeply"),
        (f'{{"number": {"9" * 5000}}}', "is not JSON"),
        ("{} {}", "Extra data"),
    ],
)
def test_a_broken_line_of_ndjson_leaves_the_others(text, reason):
    first, bad, last = read(ndjson(ONE) + text + "\n" + ndjson(TWO), "x.ndjson")
    assert isinstance(first, Line)
    assert isinstance(last, Line)
    assert (bad.line, bad.column) == (2, None)
    assert reason in bad.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("[]", "has no rows: nothing to buy"),
        ('{"requests": []}', "has no rows"),
        ("5", "at the beginning stands '5' instead of '\\['"),
        ("{}", 'must be a list of objects, or an object {"requests": \\[...\\]} and nothing else'),
        ('{"number": "+14155550100"}', "must be a list of objects"),
        ('{"requests": {}}', "at the beginning stands '{' instead of '\\['"),
        ('{"requests": [{}], "metadata": {}}', "after element 1 stands ',' instead of '}'"),
        ('[{"number": "x"}, ]', "element 2 is not JSON: Expecting value"),
        ('[{"number": "x"}', "after element 1 stands the end instead of ']'"),
        ('[{"number": "x" "y"}]', "element 1 is not JSON: Expecting ',' delimiter"),
        ('[{"number": NaN}]', "element 1 is not JSON: NaN is no JSON"),
        ("[" * 100_000, "element 1 is not JSON: it is nested too deeply"),
        ('[{"number": "x"}] []', "something follows the list"),
        (ndjson(ONE, TWO), "must be a list of objects"),
    ],
)
def test_a_json_file_of_another_shape_is_refused_whole(text, message):
    with pytest.raises(OrderFileError, match=message) as caught:
        read(text, "x.json")
    assert str(caught.value).startswith("x.json: ")


def test_a_broken_first_object_of_ndjson_is_still_its_lines_problem():
    bad, good = read('{"number": }\n' + ndjson(ONE), "-")
    assert (bad.line, good.line) == (1, 2)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=50), max_size=30),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_a_list_that_was_written_reads_back(texts, indent, ascii_only):
    rows = [{**ONE, "number": f"+1415555{i:04d}", "metadata": {"t": text}} for i, text in enumerate(texts, 100)]
    if not rows:
        return
    found = lines(json.dumps(rows, indent=indent, ensure_ascii=ascii_only), "x.json")
    assert [line.request.metadata["t"] for line in found] == texts
    assert [line.line for line in found] == list(range(1, len(texts) + 1))


def test_elements_and_numbers_may_lie_across_the_blocks_that_are_read():
    rows = [
        {"number": 14155550000 + i, "provider": "bird", "metadata": {"t": "\u00fc" * (i % 97)}} for i in range(3000)
    ]
    text = json.dumps(rows, ensure_ascii=False)
    assert len(text) > 3 * 65_536
    found = lines(text, "x.json")
    assert [line.request.number for line in found] == [f"+{row['number']}" for row in rows]
    # a bare number at every place around the end of a block
    for shift in range(12):
        blanks = " " * (65_536 - 6 - shift)
        with pytest.raises(OrderFileError, match="has no rows"):
            read(f"[{blanks}]", "x.json")
        assert told(f"[{blanks}14155550100, 1]", "x.json")[1][0] == 2
