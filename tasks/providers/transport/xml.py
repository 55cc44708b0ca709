"""XML as plain values, both ways, for providers that speak it.

Read with Python's expat, which would take entities and more: a document type, an entity or a processing instruction
ends the reading before it means anything, and depth and size are bounded beside what `coding` bounds. An element
without elements is its text, one with elements is a dict of them. An element that stands there several times is a list,
so `many` reads what may be one. Attributes and name spaces say nothing in the documents that we read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape

MAX_DEPTH = 32
MAX_ELEMENTS = 200_000
MAX_TEXT = 100_000
"""Characters of one element's text."""

XML_TYPE = "application/xml"


class NotXml(ValueError):
    """What is no XML document, or one that is not read."""


class _Builder:
    """Builds the value of a document from what expat tells."""

    def __init__(self) -> None:
        self._open: list[tuple[str, dict[str, Any], list[str]]] = [("", {}, [])]
        self._elements = self._length = 0

    def start(self, name: str, _: Any) -> None:
        self._elements += 1
        if len(self._open) > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise NotXml("the document is deeper or larger than any that is documented")
        self._open.append((name, {}, []))
        self._length = 0

    def text(self, data: str) -> None:
        self._open[-1][2].append(data)
        self._length += len(data)
        if self._length > MAX_TEXT:
            raise NotXml("a text is longer than any that is documented")

    def end(self, _: str) -> None:
        name, inner, texts = self._open.pop()
        text = "".join(texts).strip()
        if inner and text:
            raise NotXml("an element holds a text and elements")
        value: Any = inner or text
        beside = self._open[-1][1]
        if name not in beside:
            beside[name] = value
        elif isinstance(beside[name], list):
            beside[name].append(value)
        else:
            beside[name] = [beside[name], value]

    def value(self) -> dict[str, Any]:
        return self._open[0][1]


def read_xml(text: str) -> dict[str, Any]:
    """{root: value}. Raises NotXml."""
    parser, builder = expat.ParserCreate("UTF-8"), _Builder()
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ProcessingInstructionHandler = _refuse
    parser.UnparsedEntityDeclHandler = parser.ExternalEntityRefHandler = parser.SkippedEntityHandler = _refuse
    try:
        parser.Parse(text.encode(), True)  # noqa: FBT003 - it is the whole document
    except (expat.ExpatError, UnicodeError) as exc:
        raise NotXml(str(exc)) from exc
    return builder.value()


def write_xml(root: str, value: Any) -> bytes:
    """A document: a dict's keys are elements, a list's items are one element each, None is left out."""
    return f'<?xml version="1.0" encoding="UTF-8"?>{_element(root, value)}'.encode()


def many(value: Any) -> list[Any]:
    """The elements of one name: none, one or several."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _element(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "".join(_element(name, one) for one in value)
    if isinstance(value, Mapping):
        inner = "".join(_element(key, one) for key, one in value.items())
    else:
        inner = escape(str(value).lower() if isinstance(value, bool) else str(value))
    return f"<{name}>{inner}</{name}>"


def _refuse(*_: Any) -> NoReturn:
    raise NotXml("a document type, an entity or an instruction: it is not read")
