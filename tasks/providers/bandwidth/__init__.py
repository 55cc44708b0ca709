"""Bandwidth: XML, access tokens, and orders that are worked on later."""

from tasks.providers.bandwidth.adapter import Bandwidth
from tasks.providers.bandwidth.config import POLICY, BandwidthConfig
from tasks.providers.bandwidth.sandbox import BandwidthApi
from tasks.providers.kind import ProviderKind, Sandbox

KIND = ProviderKind(
    name="bandwidth",
    config=BandwidthConfig,
    adapter=Bandwidth,
    sandbox=Sandbox(
        api=BandwidthApi,
        fields={"client_id": "sandbox-client", "account_number": "9900000", "site_id": "1234"},
        numbers="+1919",
    ),
    policy=POLICY,
    needs_prefix=True,
)
