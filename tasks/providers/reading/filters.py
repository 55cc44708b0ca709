"""Filters of lists: which entries can stand in the answer to a question.

A gateway that keeps answers by their path alone, or a server that mixes two questions up, answers one with the whole
and well-formed list of another. What the filter that was asked cannot have let through tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.providers.transport.answers import e164


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What a parameter of a question lets through, by an entry's `key`: `fits` gets what was asked and what is there.

    It lets through what any reading of the provider's documents does, so it is as wide as they leave it open.
    """

    key: str
    fits: Callable[[str, Any], bool]

    def lets_through(self, asked: Any, record: Mapping[str, Any]) -> bool:
        """Whether *record* can be in the answer to what was *asked*; one that says nothing there cannot."""
        return self.fits(str(asked), record.get(self.key))


def begins(key: str) -> Filter:
    """Numbers that begin with the digits asked for."""
    return Filter(key=key, fits=lambda asked, said: (e164(said) or "").startswith(f"+{_digits(asked)}"))


def contains(key: str) -> Filter:
    """Numbers in which the digits asked for stand, wherever."""
    return Filter(key=key, fits=lambda asked, said: _digits(asked) in (e164(said) or ""))


def names(key: str) -> Filter:
    """Texts in which the one asked for stands, whatever its case: for filters that are not said to be exact."""
    return Filter(key=key, fits=lambda asked, said: isinstance(said, str) and asked.casefold() in said.casefold())


def _digits(asked: str) -> str:
    return "".join(char for char in asked if char.isdecimal())
