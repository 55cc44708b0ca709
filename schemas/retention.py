"""How long what nothing depends on any more is kept."""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86400.0
"""Seconds."""


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Seconds; None is for ever.

    rejected: messages that were not accepted; one that is delivered again once it is gone is looked at anew.
    requests: answered takes and returns, likewise. records: calls of settled purchases, findings of audits that are
    resolved, and runs of pools that ordered nothing.
    """

    rejected: float | None = 90 * DAY
    requests: float | None = 400 * DAY
    records: float | None = 3650 * DAY
