"""Texts of a documented shape, whose errors say in words what it is."""

from __future__ import annotations

import re

from pydantic import AfterValidator


def shaped(pattern: str, words: str) -> AfterValidator:
    """For `Annotated[str, ...]`: a text that *pattern* matches as a whole, else the error *words*: 'must be ...'."""
    whole = re.compile(pattern)

    def check(value: str) -> str:
        if whole.fullmatch(value) is None:
            raise ValueError(words)
        return value

    return AfterValidator(check)
