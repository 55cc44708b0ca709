"""SignalWire: numbers of a project."""

from tasks.providers.kind import ProviderKind, Sandbox
from tasks.providers.signalwire.adapter import SignalWire
from tasks.providers.signalwire.config import SignalWireConfig
from tasks.providers.signalwire.sandbox import SignalWireApi

KIND = ProviderKind(
    name="signalwire",
    config=SignalWireConfig,
    adapter=SignalWire,
    sandbox=Sandbox(api=SignalWireApi, fields={"project_id": "sandbox-project"}, numbers="+1415"),
    # Page 'Rate limits': POST 13,800 per 10 s, GET unlimited in effect; 1,000 numbers a project.
    policy={
        "rate_limits": ("1300/second", "13800/10 seconds"),
        "lookup_rate_limits": ("100/second",),
        "max_in_flight": 50,
        "daily_limit": 1000,
    },
)
