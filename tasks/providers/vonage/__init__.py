"""Vonage: numbers of one account, which its API key names."""

from tasks.providers.kind import ProviderKind, Sandbox
from tasks.providers.vonage.adapter import Vonage
from tasks.providers.vonage.config import VonageConfig, VonageOptions
from tasks.providers.vonage.offers import CURRENCY
from tasks.providers.vonage.sandbox import VonageApi

# No limit is documented for numbers: the usual modest pace is our choice.
KIND = ProviderKind(
    name="vonage",
    config=VonageConfig,
    adapter=Vonage,
    sandbox=Sandbox(api=VonageApi, fields={"api_key": "sandbox1"}, numbers="+1650"),
    options=VonageOptions,
    tells_price=True,
    asked_for=frozenset({"type", "features"}),
    price_currency=CURRENCY,
)
