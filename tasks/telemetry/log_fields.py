"""What a log line is about, as fields: for a search in many lines, where the message is for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELDS = ("purchase", "order", "provider", "attempt", "provider_number_id")
"""Ids of purchase and order, the provider's alias, which call to buy it is, from 1 on, and the provider's own id."""


def about(row: Mapping[str, Any], *, attempt: int | None = None) -> dict[str, Any]:
    """The fields of a line about the purchase of *row*, for `extra`."""
    return {"purchase": row["id"], "order": row["order_id"], "provider": row["provider"], "attempt": attempt}


def about_release(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a line about a release's row."""
    return {"purchase": row["purchase_id"], "provider": row["provider"]}


def about_provider(alias: str) -> dict[str, Any]:
    """The same of a line about a provider alone."""
    return {"provider": alias}
