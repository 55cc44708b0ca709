"""Plivo: numbers of one account, which its auth id names."""

from tasks.providers.kind import ProviderKind, Sandbox
from tasks.providers.plivo.adapter import CURRENCY, Plivo
from tasks.providers.plivo.config import POLICY, PlivoConfig, PlivoOptions
from tasks.providers.plivo.sandbox import PlivoApi

KIND = ProviderKind(
    name="plivo",
    config=PlivoConfig,
    adapter=Plivo,
    sandbox=Sandbox(api=PlivoApi, fields={"auth_id": "MASANDBOX00000000001"}, numbers="+1408"),
    options=PlivoOptions,
    policy=POLICY,
    tells_price=True,
    asked_for=frozenset({"features"}),
    price_currency=CURRENCY,
)
