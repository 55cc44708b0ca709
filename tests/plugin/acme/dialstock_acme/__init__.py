"""Acme Telecom: numbers are bought one by one and listed in pages."""

from dialstock_acme.adapter import Acme
from dialstock_acme.config import AcmeConfig, AcmeOptions
from dialstock_acme.sandbox import AcmeApi
from tasks.providers.kind import ProviderKind, Sandbox

KIND = ProviderKind(
    name="acme",
    config=AcmeConfig,
    options=AcmeOptions,
    adapter=Acme,
    sandbox=Sandbox(api=AcmeApi, fields={"team": "sandbox-team"}, numbers="+1503"),
    # Page 'Limits': 20 purchases in a second.
    policy={"rate_limits": ("20/second",)},
)
