from __future__ import annotations

import time

import pytest

from tasks.providers.transport.xml import MAX_DEPTH, MAX_ELEMENTS, NotXml, many, read_xml, write_xml

LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<a/>", {"a": ""}),
        ("<a> b </a>", {"a": "b"}),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>\n<a><b>\n 1\n</b><!-- x --></a>', {"a": {"b": "1"}}),
        ("<a><b>1</b><c/><b>2</b><b>3</b></a>", {"a": {"b": ["1", "2", "3"], "c": ""}}),
        ("<a x='1'>&lt;b&gt;&amp;&#233;<![CDATA[<c>]]></a>", {"a": "<b>&\u00e9<c>"}),
    ],
)
def test_a_document_is_plain_values(text: str, value: object) -> None:
    assert read_xml(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", '{"a": 1}', "<a>", "<a></b>", "<a/><a/>", "a", "<a>b<c/></a>", "<a>&nbsp;</a>", "\ud800"),
        *(LAUGHS, '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', '<!DOCTYPE a [<!ENTITY x SYSTEM "x">]><a>&x;</a>'),
        *("<!DOCTYPE a><a/>", '<?xml-stylesheet href="x"?><a/>', "<a><?php x?></a>"),
        "<a>" * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1),
        "<a>" + "<b/>" * MAX_ELEMENTS + "</a>",
        f"<a>{'x' * 200_000}</a>",
        f"<a>{'x&amp;' * 200_000}</a>",
    ],
)
def test_what_is_no_document_or_more_than_one_is_not_read(text: str) -> None:
    began = time.thread_time()
    with pytest.raises(NotXml):
        read_xml(text)
    assert time.thread_time() - began < 10


def test_what_is_written_is_read_again() -> None:
    value = {"Order": {"Name": "a <b> & \"c\" 'd'", "Numbers": {"N": ["1", "2"]}, "Partial": "false"}}
    written = write_xml("Order", {**value["Order"], "Partial": False, "PeerId": None})
    assert read_xml(written.decode()) == value
    assert b"<N>1</N><N>2</N>" in written


def test_one_of_several_is_a_list_too() -> None:
    assert [many(value) for value in (None, "a", ["a", "b"], {"a": "b"}, "")] == [
        [],
        ["a"],
        ["a", "b"],
        [{"a": "b"}],
        [""],
    ]
