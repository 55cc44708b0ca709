"""What only Vogent does, against its sandbox."""

from __future__ import annotations

from schemas.config.provider import SANDBOX_TOKEN
from schemas.outcomes import OutcomeKind
from tasks.conformance.fixtures import NUMBER, buy, charged
from tasks.providers.configured import sandbox_config
from tasks.providers.registry import build
from tasks.sandbox import SandboxServer


def test_vogent_buys_at_its_deprecated_endpoint_too(sandbox: SandboxServer) -> None:
    config = sandbox_config(sandbox.url).providers["vogent"]
    provider = build(config.model_copy(update={"purchase_endpoint": "phone_numbers/purchase"}), SANDBOX_TOKEN)
    assert buy(provider).kind is OutcomeKind.PURCHASED
    assert charged(sandbox, "vogent") == [NUMBER]
