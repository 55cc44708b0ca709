"""How people and their programs spell a number: blanks, brackets and dashes, characters that nobody sees, and what
spreadsheets make of it.

Nothing here knows a country. What comes out is the digits that stand there, or the reason why they are not one number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_TEXT = 64
MIN_DIGITS = 5

_TAB = 9

# Default_Ignorable_Code_Point in Unicode's DerivedCoreProperties.txt: drawn as nothing at all
_UNSEEN = (
    *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0),
    *(range(0x180B, 0x1810), range(0x200B, 0x2010), range(0x202A, 0x202F), range(0x2060, 0x2070)),
    *(range(0xFE00, 0xFE10), range(0xFFF0, 0xFFF9), range(0x1BCA0, 0x1BCA4), range(0x1D173, 0x1D17B)),
    range(0xE0000, 0xE1000),
)
_ALIKE = {
    **dict.fromkeys("\N{FULLWIDTH PLUS SIGN}\N{SMALL PLUS SIGN}", "+"),
    **dict.fromkeys("\N{MINUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}", "-"),
    **dict.fromkeys("\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}", "'"),
    **{chr(ord(sign) + 0xFEE0): sign for sign in "()./,"},
}

_ONE = r"(?:\([ .-]*[0-9](?:[ .-]*[0-9])*[ .-]*\)|[0-9])"
_DIGITS = re.compile(rf"{_ONE}(?:[ .-]*{_ONE})*")
_PLUS = re.compile(r"\(?\+ *(?=[(0-9])")
_WHOLLY_BRACKETED = re.compile(r"\([^()]*\)")
# Before what it computes, a spreadsheet writes no plus and no zero: a text that has one has all its digits.
_DECIMALS = re.compile(r"([1-9][0-9]{4,14})[.,]0+")
_THOUSANDS = re.compile(r"([1-9][0-9]{0,2}([.,' ])[0-9]{3}(?:\2[0-9]{3})+)(?:(?!\2)[.,]0+)?")
_GROUPED = re.compile(r"\+?[0-9]{1,3}([.,' ])[0-9]{3}(?:\1[0-9]{3})+")
_YEAR, _PART = r"(?:19|20)[0-9]{2}", r"[0-3]?[0-9]"
_DATE = re.compile(rf"{_PART}([ .-]){_PART}\1{_YEAR}|{_YEAR}([ .-]){_PART}\2{_PART}")
_FORMULA = re.compile(r'=(?:(\+[0-9]+)|"(\+[^"]+)")')
_SCIENTIFIC = re.compile(r"[+-]?[0-9][.,]?[0-9]*[eE][+-]?[0-9]+")
_SHORT_END = re.compile(r"([0-9]+)[ )]*([.,-])[ (.-]*([0-9]{1,3})\)?\Z")
_ZEROS = re.compile(r"[^.,]+([.,]00?)\Z")
_BRACKETED_END = re.compile(r"([0-9]+)[ ).-]*\([ .-]*([0-9 .-]+)\)\Z")
_MOST_BRACKETED = 4
_GROUP = re.compile(r"([0-9]+)[ )]*([ .-])[ (.-]*([0-9]+)\)?\Z")
_CHAIN = re.compile(r"(?<![0-9])(?:[0-9]{2}([ .-])[0-9]{2}\1[0-9]{2}|[0-9]{3}([ .-])[0-9]{3}\2[0-9]{3})\Z")
_EXTENSION = re.compile(r"[0-9) .,;-](?:e?xt(?:n|ensi[oó]n)?|x|#|~)[.:=]* *[0-9]{1,7}#?", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")


class NumberError(ValueError):
    """A text that cannot be read as one phone number; the message says how to mend it."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{quoted(text[:MAX_TEXT])} {reason}")


def visible(text: str) -> str:
    """What can be seen of *text*: each blank of Unicode and the tab as a blank, nothing of what is drawn as nothing."""
    return (text if text.isascii() and "\t" not in text else text.translate(_SEEN)).strip()


def quoted(text: str, limit: int | None = None) -> str:
    r"""*text* in quotes for a message, with \uXXXX for what is odd in it: what no one sees, and among ASCII letters or
    digits each sign that is neither ASCII nor a Latin letter, for it may look like one. Cut at *limit* characters.
    """
    mixed = any(char.isascii() and char.isalnum() for char in text)
    shown = "".join(_shown(char, mixed=mixed) for char in text[:limit])
    if limit is not None and max(len(shown), len(text)) > limit:
        shown = shown[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
    mark = '"' if "'" in shown and '"' not in shown else "'"
    return f"{mark}{shown}{mark}"


def _shown(char: str, *, mixed: bool) -> str:
    if char in "\\\n\r\t":
        return repr(char)[1:-1]
    if char.isprintable() and (char.isascii() or not mixed or unicodedata.name(char, "").startswith("LATIN ")):
        return char
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def plain_spelling(text: str) -> str:
    """One number in digits, blanks, brackets, dots and dashes between them; a plus before it where it has one.

    A number that a spreadsheet computed, rounded or wrote with a fraction is refused, and so are two numbers in one
    cell. The digits are those of *text*, in ASCII, but for the fraction of zeros that a spreadsheet appends.
    Raises NumberError.
    """
    seen = visible(text.translate(_WRITTEN) if not text.isascii() else text).lstrip("'").strip()
    _refuse_damage(seen)
    number = re.sub(r"^tel: *", "", _without_spreadsheet(seen), flags=re.IGNORECASE)
    plus = _PLUS.match(number)
    rest = number.replace("+", "", 1).strip() if plus else number
    _refuse_short_end(seen, rest)
    if not _DIGITS.fullmatch(rest):
        raise NumberError(seen, _what_else(seen))
    _refuse_bracketed_end(seen, rest)
    if plus is None and _WHOLLY_BRACKETED.fullmatch(rest):
        raise NumberError(seen, _COMPUTED)
    return f"+{rest}" if plus else rest


_COMPUTED = "was computed by a spreadsheet: format the column as text, and write the number as it was, with its plus"
TWO = "looks like two numbers: give each a row of its own; if it is one, write it without {!r}"


def _refuse_damage(text: str) -> None:
    if not text:
        raise NumberError(text, "is empty: a phone number is needed here")
    if len(text) > MAX_TEXT:
        raise NumberError(text, f"is longer than {MAX_TEXT} characters: one number is expected")
    if _SCIENTIFIC.fullmatch(text):
        raise NumberError(text, "was rounded by a spreadsheet: format the column as text and export it again")
    if _DATE.fullmatch(text):
        raise NumberError(text, "looks like a date: if it is a number, write it with its plus and country code")


def _without_spreadsheet(text: str) -> str:
    """The number alone where a spreadsheet wrote it as a formula, with a fraction of zeros or by thousands."""
    if formula := _FORMULA.fullmatch(text):
        return formula[1] or formula[2]
    if decimals := _DECIMALS.fullmatch(text):
        return decimals[1]
    if thousands := _THOUSANDS.fullmatch(text):
        return thousands[1].replace(thousands[2], "")
    if grouped := _GROUPED.fullmatch(text):
        return text.replace(grouped[1], "")
    return text


def end_apart(spelled: str) -> tuple[str, str, bool] | None:
    """What stands before the last group of a plain spelling, the mark between both, and whether it looks like another
    number's end: behind a dash or a dot, no longer than the group before, and none of a row of pairs or of threes.
    """
    end = _GROUP.search(spelled)
    if end is None:
        return None
    looks = end[2] != " " and len(end[3]) <= len(end[1]) and not _CHAIN.search(spelled)
    return spelled[: end.end(1)], end[2], looks


def _refuse_bracketed_end(text: str, number: str) -> None:
    """Refuse 415 555 0123(5) and 030 55501 (55502); (415) (5550100) ends in the number itself."""
    end = _BRACKETED_END.search(number)
    if end is not None and (digits := len(re.findall("[0-9]", end[2]))) <= max(_MOST_BRACKETED, len(end[1])):
        raise NumberError(text, TWO.format("(" if digits else ""))


def _refuse_short_end(text: str, number: str) -> None:
    """Refuse 0170-71, 4155550123.5 and 63 01 23 43.00; 01-23-45-67-89 ends in a group as long as the one before."""
    if zeros := _ZEROS.match(number):
        raise NumberError(text, f"has the fraction {zeros[1]}: write one number, in digits")
    end = _SHORT_END.search(number)
    if end is None or len(end[3]) >= len(end[1]):
        return
    if end[2] == "-":
        raise NumberError(text, TWO.format("-"))
    raise NumberError(text, f"has the fraction {end[2]}{end[3]}: write one number, in digits")


def _what_else(text: str) -> str:
    """Why a text is not one number."""
    ends = text[0] + text[-1]
    if text[0] in "=-@#" or text[-1] in "-%" or ends == "()" or "Sc" in map(unicodedata.category, ends):
        return _COMPUTED
    if _EXTENSION.search(text):
        return "has an extension: numbers are bought without one"
    if _LETTER.search(text):
        return "has letters in it: write the number alone, in digits"
    if len(re.findall(r"[0-9]", text)) < MIN_DIGITS:
        return "is not a phone number"
    if between := re.search(r"[0-9) ]([/\\|,;:&\n\r+])[+( 0-9]", text):
        return TWO.format(between[1])
    return "is not one phone number: write it in digits, like +14155550100"


class _Seen(dict[int, str]):
    """Each character as it is seen."""

    def __missing__(self, code: int) -> str:
        return " " if code == _TAB or unicodedata.category(chr(code)) == "Zs" else chr(code)


class _Written(dict[int, str]):
    """Digits and dashes of any script in ASCII."""

    def __missing__(self, code: int) -> str:
        digit = unicodedata.decimal(chr(code), None)
        if digit is not None:
            return str(digit)
        return "-" if unicodedata.category(chr(code)) == "Pd" else chr(code)


def _codes(parts: Iterable[int | range]) -> Iterable[int]:
    return (code for part in parts for code in (part if isinstance(part, range) else [part]))


_SEEN = _Seen(dict.fromkeys(_codes(_UNSEEN), ""))
_WRITTEN = _Written({ord(char): sign for char, sign in _ALIKE.items()})
