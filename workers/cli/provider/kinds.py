"""The kinds of providers, as each says of itself what it takes and what it can do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.config.provider import ProviderConfig
from tasks.providers.kind import ProviderKind

COLUMNS = ("kind", "needs", "may have", "options", "in a call", "search", "reserve", "unreserve", "release", "balance")


def kind_rows(kinds: Iterable[ProviderKind]) -> list[dict[str, Any]]:
    """One row for each kind; `release` is true, or what a person does at the provider instead.

    `unreserve` is whether a reservation can be given back before it lapses.
    """
    return [_row(kind) for kind in kinds]


def in_words(row: dict[str, Any]) -> list[Any]:
    """The cells of a row's line."""
    cells = {name: ", ".join(value) if isinstance(value, list) else value for name, value in row.items()}
    for name in ("search", "reserve", "unreserve", "release", "balance"):
        cells[name] = "yes" if row[name] is True else "no"
    return [cells[name] for name in COLUMNS]


def _row(kind: ProviderKind) -> dict[str, Any]:
    own = {name: field for name, field in kind.config.model_fields.items() if name not in ProviderConfig.model_fields}
    return {
        "kind": kind.name,
        "needs": [name for name, field in own.items() if field.is_required()],
        "may have": [name for name, field in own.items() if not field.is_required()],
        "options": list(kind.options.model_fields),
        "in a call": kind.max_batch,
        "search": kind.searches,
        "reserve": kind.reserves_for is not None,
        "unreserve": kind.cancels_reservations,
        "release": kind.releases or kind.portal,
        "balance": kind.config.balance_currency is not None,
    }
