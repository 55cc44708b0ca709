"""What templates write: times, texts of others, ids, links."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tornado.escape import xhtml_escape

from workers.views.words import as_json, duration, moment, plain, short_id

__all__ = ["as_json", "duration", "marked", "moment", "number", "said", "short_id", "text", "time", "value"]

_CODE = re.compile("`([^`]+)`")


def text(value: object) -> str:
    """A value as it stands in a page or in an attribute: escaped, and without what steers a terminal or a direction."""
    return xhtml_escape(plain(value.decode() if isinstance(value, bytes) else str(value)))


def said(text: object) -> str:
    """A text that a caller or a provider wrote, as HTML: escaped, and its direction goes no further than itself."""
    return f"<bdi>{xhtml_escape(plain(str(text)))}</bdi>" if text is not None else ""


def marked(text: str) -> str:
    """A text of ours as HTML: what stands between backticks there is code."""
    return _CODE.sub(r"<code>\1</code>", said(text))


def time(at: datetime | None) -> str:
    """A time as HTML, in UTC; a script shows it in the viewer's zone too."""
    if at is None:
        return ""
    exact = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f'<time datetime="{exact}">{moment(at)}</time>'


def number(count: int | None) -> str:
    """A count with its thousands."""
    return "" if count is None else f"{count:,}"


def value(it: Any) -> str:
    """Any value of a row, as HTML."""
    if isinstance(it, datetime):
        return time(it)
    if isinstance(it, bool):
        return "yes" if it else "no"
    if isinstance(it, Mapping | list):
        return said(json.dumps(it, ensure_ascii=False, default=str)) if it else ""
    return number(it) if isinstance(it, int) else said(it)
