"""Number formats that show more than a cell's own digits: with `"+"0`, what is 4930123456 is seen as +4930123456.

Who looks at the sheet asks for what is seen, and what is read is another number. A format is as in ECMA-376 part 1,
18.8.30 and 18.8.31.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.parsers import expat

REASON = "is shown as another number than it is, by its format: format the column as text, and write it as it is shown"

_CURRENCY = re.compile(r"\[\$([^\]-]*)[^\]]*\]")
# blanks as wide as a sign, signs that fill the cell, colours and conditions, and exponents
_UNSEEN = re.compile(r"[_*].|\[[^\]]*\]|[eE][+-]")
_LITERAL = re.compile(r'"([^"]*)"|\\(.)')
_EXPONENT = re.compile(r"[0-9][eE][+-]?[0-9]")


def adds(code: str) -> bool:
    """Whether what a format of an .xlsx shows has a plus, or digits, that are not the number's own."""
    seen = _UNSEEN.sub("", _CURRENCY.sub(r'"\1"', code))
    literal = "".join("".join(found) for found in _LITERAL.findall(seen))
    return bool(re.search("[+1-9]", seen) or re.search("[0-9]", literal))


def differs(value: str, shown: str) -> bool:
    """Whether a whole number is *shown*, in an .ods, with a plus or with other digits; zeros before it are none."""
    if _EXPONENT.search(shown) or not shown:
        return False
    whole = float(value)
    digits = "".join(str(int(char)) for char in shown if char.isdecimal()).lstrip("0")
    own = str(abs(int(whole))) if whole.is_integer() else ""
    return "+" in shown or not digits.startswith(own.lstrip("0"))


def styles_that_add(blocks: Iterable[bytes]) -> frozenset[str]:
    """The cell styles of an .xlsx, by their index, whose format adds something. Raises expat.ExpatError."""
    codes: dict[str, str] = {}
    styles: list[str] = []
    within = ""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal within
        name = name.rpartition(":")[2]
        if name in ("cellXfs", "cellStyleXfs"):
            within = name
        elif name == "numFmt":
            codes.setdefault(attributes.get("numFmtId", ""), attributes.get("formatCode", ""))
        elif name == "xf" and within == "cellXfs":
            styles.append(attributes.get("numFmtId", "0"))

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    for block in blocks:
        parser.Parse(block, False)  # noqa: FBT003 - as expat calls it
    parser.Parse(b"", True)  # noqa: FBT003
    return frozenset(str(index) for index, one in enumerate(styles) if adds(codes.get(one, "")))
