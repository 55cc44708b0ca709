"""What only TimePay does, against its sandbox."""

from __future__ import annotations

from schemas.outcomes import OutcomeKind
from tasks.conformance.fixtures import NUMBER, OTHER, adapter
from tasks.providers.adapter import Ask
from tasks.sandbox import SandboxServer


def test_a_refused_item_at_timepay_refuses_that_number_only(sandbox: SandboxServer) -> None:
    sandbox.control.plan("timepay", "refuse", number=OTHER)
    outcomes = adapter(sandbox, "timepay").buy([Ask(number=NUMBER), Ask(number=OTHER)])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.PURCHASED, OutcomeKind.REFUSED]
