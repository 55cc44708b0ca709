"""What spreadsheets leave in and around a table, and what they do to numbers."""

from __future__ import annotations

import codecs
import json

import pytest

from tasks.orderfile import OrderFileError

from .reading import lines, read, told


def numbers(source, name="order.csv", **options):
    return [line.request.number for line in lines(source, name, **options)]


@pytest.mark.parametrize(
    "text",
    [
        "number,provider,,,\r\n+12125550142,bird,,,\r\n,,,,\r\n,,,,\r\n",
        "number,provider\n+12125550142,bird,,\n",
        "number,provider,\n+12125550142,bird\n",
        ",,number,provider\n,,+12125550142,bird\n",
        ",number,,provider\n,+12125550142,,bird\n",
        "\u200b,number,\u00a0,provider,\u2003\n\u200b,+12125550142,\u00a0,bird,\u200b\n",
        "\n,,\nnumber,provider\n\n,\n \u200b,\u00a0\n+12125550142,bird\n\n",
    ],
)
def test_columns_and_rows_in_which_nothing_stands_are_passed_over(text):
    assert numbers(text) == ["+12125550142"]


def test_a_value_in_a_column_without_a_name_is_told():
    (problem,) = told(",number,provider,,\n,+12125550142,bird,,\nleft,+12125550143,bird,,\n")
    assert problem == (3, None, "has 'left' in column A (number 1), without a name: name the column, or empty it")
    assert "has 'x' in column D (number 4)" in told("number,provider,,\n+12125550142,bird,,x\n")[0][2]
    wide = "number,provider" + "," * 30 + "\n+12125550142,bird" + "," * 25 + "x,,,,,\n"
    assert "has 'x' in column AA (number 27)" in told(wide)[0][2]
    assert "'x' in column AA (number 27): quote" in told("number,provider" + wide[wide.index("\n") :])[0][2]


def test_an_export_may_come_back_with_empty_columns_beside_it():
    from tasks.orderfile import EXPORT_COLUMNS  # noqa: PLC0415

    cells = ["+12125550142" if name == "number" else "bird" if name == "provider" else "" for name in EXPORT_COLUMNS]
    assert numbers(f",{','.join(EXPORT_COLUMNS)},,\n,{','.join(cells)},,\n") == ["+12125550142"]


@pytest.mark.parametrize("said", ["sep=;", "SEP=;", '"sep=;"', "sep=|", "sep=\t", "sep=:"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n\n"])
def test_a_line_that_names_the_delimiter_is_obeyed_and_is_no_header(said, start):
    delimiter = said.strip('"')[-1]
    text = f"{start}{said}\r\nnumber{delimiter}provider{delimiter}metadata.a,b\r\n"
    (line,) = lines(f"{text}+12125550142{delimiter}bird{delimiter}x,y\r\n")
    assert (line.line, line.request.metadata) == (len(start.strip("\ufeff")) + 3, {"a,b": "x,y"})


def test_a_delimiter_alone_is_no_table():
    with pytest.raises(OrderFileError, match="is empty: the first line names the columns"):
        read("sep=;\r\n")


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_byte_order_mark_may_stand_twice(mark):
    encoding = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le"}.get(mark, "utf-16-be")
    rows = [{"number": "+12125550142", "provider": "bird"}]
    for text in ("number,provider\n+12125550142,bird\n", json.dumps(rows), json.dumps(rows[0])):
        for times in (1, 2, 3):
            assert numbers(mark * times + text.encode(encoding), "-") == ["+12125550142"]


@pytest.mark.parametrize("end", ["\x1a", "\r\n\x1a", "\n\x1a\n", "\x1a\x1a"])
def test_the_end_of_file_of_old_programs_is_no_row(end):
    assert numbers(f"number,provider\n+12125550142,bird{end}") == ["+12125550142"]
    element = '{"number": "+12125550142", "provider": "bird"}'
    assert numbers(f"[{element}]{end}", "x.json") == ["+12125550142"]


def test_an_end_of_file_among_the_rows_loses_none():
    assert numbers("number,provider\n+12125550142,bird\n\x1a\n+12125550143,bird\n") == ["+12125550142", "+12125550143"]
    ((line, column, _),) = told("number,provider,metadata.a\n+12125550142\x1a,bird,x\n")
    assert (line, column) == (2, "number")


def test_what_nobody_can_see_is_dropped_from_number_and_provider():
    text = (
        "num\u00adber,provider\u200b\n+1212\u2060555\u200b0142,bi\u00adrd\ufeff\n\u200e+12125550143\u00a0,\u2003bird\n"
    )
    found = lines(text)
    assert [(line.request.number, line.request.provider) for line in found] == [
        ("+12125550142", "bird"),
        ("+12125550143", "bird"),
    ]
    document = json.dumps([{"n\u200bumber": "\ufeff+12125550142", "provider": "\u200bbird"}])
    assert numbers(document, "x.json") == ["+12125550142"]


def test_a_provider_of_which_nothing_can_be_seen_is_none():
    text = "number,provider\n+12125550142,\u200b\n"
    assert told(text) == [(2, "provider", "is missing: name it, or one provider for the whole file")]
    assert lines(text, default_provider="bird")[0].request.provider == "bird"
    assert told('[{"number": "+12125550142", "provider": 0}]', "x.json", default_provider="bird") == [
        (1, "provider", "must be text, in quotes")
    ]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Phone,Mobile,provider", "two columns may be it, 'Phone' and 'Mobile': keep one, or rename the other"),
        ("number,Tel,provider", "two columns may be it, 'number' and 'Tel': keep one, or rename the other"),
        ("Tel,TEL,provider", "the column is there twice: remove one"),
    ],
)
def test_no_column_is_chosen_of_two(header, message):
    ((line, column, found),) = told(f"{header}\n+12125550142,+12125550143,bird\n")
    assert (line, column) == (1, "number")
    assert found.startswith(message)


@pytest.mark.parametrize("name", ["Phone Number", "MSISDN", "E.164"])
def test_the_usual_names_of_the_numbers_column_are_read(name):
    assert numbers(f"{name};Provider\n+12125550142;bird\n") == ["+12125550142"]
    assert numbers(json.dumps([{name: "+12125550142", "provider": "bird"}]), "x.json") == ["+12125550142"]


@pytest.mark.parametrize(
    ("cell", "country", "message"),
    [
        ("-9765432019", "IN", "was computed by a spreadsheet"),
        ("040 5550142/43", "DE", "looks like two numbers"),
        ("212-555-01345", "US", "is not a possible number of US"),
        ("2125550142.5", "US", "has the fraction .5"),
        ("9175550042", None, "can be read in two ways"),
    ],
)
def test_a_number_that_nobody_asked_for_is_told_by_its_line(cell, country, message):
    ((line, column, found),) = told(f"number,provider\n{cell},bird\n", country=country)
    assert (line, column) == (2, "number")
    assert message in found
