"""What only Bird does, against its sandbox."""

from __future__ import annotations

from schemas.outcomes import LookKind, Outcome, OutcomeKind
from tasks.conformance.fixtures import NUMBER, OTHER, adapter, buy, look, wait_until
from tasks.providers.adapter import Adapter, Ask
from tasks.sandbox import SandboxServer


def ordered(provider: Adapter) -> Outcome:
    """What the answer says; `buy` waits for its end."""
    ask = provider.prepare(Ask(number=NUMBER))
    assert isinstance(ask, Ask)
    (outcome,) = provider.buy([ask])
    return outcome


def test_bird_delivers_later(sandbox: SandboxServer) -> None:
    sandbox.control.provisioning(0.5)
    provider = adapter(sandbox, "bird")
    outcome = ordered(provider)
    assert outcome.kind is OutcomeKind.PROCESSING
    assert look(provider, known=outcome.provider_number_id).kind in (LookKind.PROCESSING, LookKind.OWNED)
    wait_until(lambda: look(provider, known=outcome.provider_number_id).kind is LookKind.OWNED)
    seen = look(provider)
    assert (seen.kind, seen.provider_number_id) == (LookKind.OWNED, outcome.provider_number_id)


def test_bird_may_never_deliver(sandbox: SandboxServer) -> None:
    sandbox.control.provisioning(0.5, succeed=False)
    provider = adapter(sandbox, "bird")
    outcome = ordered(provider)
    assert outcome.kind is OutcomeKind.PROCESSING
    wait_until(lambda: look(provider, known=outcome.provider_number_id).kind is LookKind.LOST)
    assert list(provider.owned()) == []


def test_a_batch_with_one_refused_number_at_bird_refuses_no_number_for_good(sandbox: SandboxServer) -> None:
    provider = adapter(sandbox, "bird")
    asks = [ask for number in (NUMBER, OTHER) if isinstance(ask := provider.prepare(Ask(number=number)), Ask)]
    sandbox.control.plan("bird", "refuse", number=OTHER)
    assert {outcome.error_code for outcome in provider.buy(asks)} == {"batch_refused"}
    assert buy(provider).kind is OutcomeKind.PURCHASED
