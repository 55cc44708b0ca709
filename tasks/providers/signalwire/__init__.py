"""SignalWire: numbers of a project."""

from tasks.providers.kind import ProviderKind, Sandbox
from tasks.providers.signalwire.adapter import SignalWire
from tasks.providers.signalwire.config import POLICY, SignalWireConfig
from tasks.providers.signalwire.sandbox import SignalWireApi

KIND = ProviderKind(
    name="signalwire",
    config=SignalWireConfig,
    adapter=SignalWire,
    sandbox=Sandbox(api=SignalWireApi, fields={"project_id": "sandbox-project"}, numbers="+1415"),
    policy=POLICY,
    asked_for=frozenset({"type", "features"}),
    narrows=(3, 7),
)
