"""Lists that are read a page at a time, newest first: each page begins where the one before it ended."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from schemas.numbering.numbers import NumberError, read_number
from schemas.status import Status
from tasks.ledger.rows import Row
from workers.pages.frame.handler import Page, refused

SIZE = 50
"""Rows of a page."""


def page_of(read: Callable[[int], list[Row]], key: str = "id") -> tuple[list[Row], str | None]:
    """The rows of a page, as *read* gives at most so many, and where the next one begins; None at the end."""
    rows = read(SIZE + 1)
    return rows[:SIZE], str(rows[SIZE - 1][key]) if len(rows) > SIZE else None


def before(page: Page) -> str | None:
    """The id that the page's address says it begins before. Raises Refusal."""
    text = page.query("before")
    try:
        return text and str(UUID(text))
    except ValueError:
        raise refused(f"before={text!r} is no id: follow the links from one page to the next") from None


def line_after(page: Page) -> int:
    """The line that the page's address says it begins after. Raises Refusal."""
    text = page.query("after") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise refused(f"after={text!r} is no line: follow the links from one page to the next")
    return int(text)


def number_of(page: Page) -> str | None:
    """The number that the page's address asks for; None where it asks for none. Raises Refusal."""
    text = page.query("number")
    try:
        return text and read_number(text)
    except NumberError as exc:
        raise refused(f"number {exc}") from None


def status_of(page: Page) -> str | None:
    """The status that the page's address asks for; None where it asks for none. Raises Refusal."""
    text = page.query("status")
    if text is not None and text not in [*Status]:
        raise refused(f"status={text!r} is not known: it is one of {', '.join(Status)}")
    return text
