"""Telnyx: a number is searched for, then ordered; an order may wait for papers."""

from tasks.providers.kind import ProviderKind, Sandbox
from tasks.providers.telnyx.adapter import Telnyx
from tasks.providers.telnyx.config import TelnyxConfig, TelnyxOptions
from tasks.providers.telnyx.sandbox import TelnyxApi

# Limits are told in headers and not published: the usual modest pace is our choice.
KIND = ProviderKind(
    name="telnyx",
    config=TelnyxConfig,
    options=TelnyxOptions,
    adapter=Telnyx,
    sandbox=Sandbox(api=TelnyxApi, numbers="+1312"),
    tells_price=True,
    asked_for=frozenset({"type", "features"}),
    narrows=(1, 10),
)
