"""Fluents: numbers are bought through a linked account of another provider."""

from tasks.providers.fluents.adapter import Fluents
from tasks.providers.fluents.config import FluentsConfig, FluentsOptions
from tasks.providers.fluents.sandbox import FluentsApi
from tasks.providers.kind import ProviderKind, Sandbox

# No limit is documented: the usual modest pace is our choice.
KIND = ProviderKind(
    name="fluents",
    config=FluentsConfig,
    options=FluentsOptions,
    adapter=Fluents,
    sandbox=Sandbox(
        api=FluentsApi,
        fields={
            "telephony_provider": "twilio",
            "telephony_account_connection": "550e8400-e29b-41d4-a716-446655440000",
        },
        numbers="+1212",
    ),
    portal="Fluents has POST /v1/numbers/cancel, of which its page and a published client disagree whether "
    "it takes phone_number or id: cancel the number in its dashboard",
)
