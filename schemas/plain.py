"""Foreign values as text that every database and every client takes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeGuard

from schemas.outcomes import clip

_JSON = json.JSONEncoder(ensure_ascii=False, default=repr)


def storable(text: str) -> str:
    """*text* without what cannot be stored: halves of surrogate pairs as escapes, NUL, which PostgreSQL has not, as a
    replacement character.
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def written(value: Any) -> str:
    """Whatever it is as text that can be stored; JSON unless it is text. Raises nothing."""
    return storable(value if isinstance(value, str) else _encoded(value))


def shown(value: Any, limit: int) -> str | None:
    """Whatever it is, cut to *limit* characters, printable ones alone; None for None."""
    return None if value is None else clip(written(value), limit)


def is_storable(value: object) -> TypeGuard[str]:
    """Whether it is a text that can be stored as it is."""
    return isinstance(value, str) and storable(value) == value


def _encoded(value: Any) -> str:
    try:
        return _JSON.encode(value)
    except RecursionError:
        # What could be read is nested as deeply as the stack of its reader had room for: this one may have less.
        with ThreadPoolExecutor(1) as deep:
            return deep.submit(_described, value).result()
    except Exception:  # noqa: BLE001 - a value of any type
        return _described(value)


def _described(value: Any) -> str:
    try:
        return _JSON.encode(value)
    except Exception as exc:  # noqa: BLE001 - a value of any type
        return f"a {type(value).__name__} that cannot be written: {type(exc).__name__}"
