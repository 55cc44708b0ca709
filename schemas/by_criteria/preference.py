"""Providers in an order of preference."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    for alias in value:
        if value.count(alias) > 1:
            raise ValueError(f"{alias!r} is there twice: name each provider once, the preferred one first")
    return value


Preference = Annotated[tuple[str, ...], AfterValidator(_each_once)]
"""Aliases, the preferred one first."""
