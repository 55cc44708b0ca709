"""The metadata of a request: what comes back from both databases as it was sent, and no more than a bound.

PostgreSQL keeps a number of a jsonb in plain digits: 1e300 becomes an integer of 301, -0.0 loses its sign, and 1e-300
takes 302 characters. https://www.postgresql.org/docs/current/datatype-json.html
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field

MAX_METADATA = 8_192
"""Bytes of JSON, with its numbers in plain digits."""

MAX_DEPTH = 32

_PLAIN = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def _bounded(metadata: dict[str, Any]) -> dict[str, Any]:
    if _deeper(metadata, MAX_DEPTH):
        raise ValueError(f"is nested too deeply: {MAX_DEPTH} levels at most")
    grown = _growth(metadata)
    try:
        text = _PLAIN.encode(metadata)
        size = len(text.encode()) + grown
    except TypeError as exc:
        raise ValueError(f"must be plain JSON: {exc}") from exc
    except ValueError as exc:
        raise ValueError("must be plain JSON: without NaN, infinity and half surrogates") from exc
    if size > MAX_METADATA:
        raise ValueError(f"is {size} bytes of JSON: {MAX_METADATA} at most")
    # PostgreSQL stores no NUL in a text
    if r"\u0000" in text and _ESCAPED_NUL.search(text):
        raise ValueError("holds a NUL character: remove it")
    return metadata


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(child, levels - 1) for child in children)


def _growth(value: Any) -> int:
    """By how many bytes it grows where it is kept. Raises ValueError for what comes back as something else."""
    if isinstance(value, float):
        return _growth_of_number(value)
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("must be plain JSON: the names in an object are texts")
        return sum(map(_growth, value.values()))
    if isinstance(value, tuple):
        raise ValueError("must be plain JSON: a tuple comes back as a list, send that")  # noqa: TRY004 - as pydantic wants
    return sum(map(_growth, value)) if isinstance(value, list) else 0


def _growth_of_number(value: float) -> int:
    text = float.__repr__(value)
    if "e" not in text and text != "-0.0":
        return 0
    if value.is_integer():
        raise ValueError(f"holds the number {text}, which would come back as another: send it as a text")
    return len(format(Decimal(text), "f")) - len(text) if math.isfinite(value) else 0


Metadata = Annotated[
    dict[str, Any],
    AfterValidator(_bounded),
    Field(description=f"comes back untouched; {MAX_METADATA:,} bytes of JSON at most, {MAX_DEPTH} levels deep"),
]
