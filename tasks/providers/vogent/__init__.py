"""Vogent: numbers are searched by prefix only."""

from tasks.providers.kind import ProviderKind, Sandbox
from tasks.providers.vogent.adapter import Vogent
from tasks.providers.vogent.config import VogentConfig
from tasks.providers.vogent.sandbox import VogentApi

# No limit is documented for numbers: the usual modest pace is our choice.
KIND = ProviderKind(
    name="vogent",
    config=VogentConfig,
    adapter=Vogent,
    sandbox=Sandbox(api=VogentApi, numbers="+1617"),
    needs_prefix=True,
    # How long a prefix may be is not documented: this is our reading.
    narrows=(1, 10),
)
