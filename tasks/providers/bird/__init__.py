"""Bird: stock items of an organization are bought for a workspace, and usable some time after."""

from tasks.providers.bird.adapter import Bird
from tasks.providers.bird.config import BirdConfig, BirdOptions
from tasks.providers.bird.sandbox import BirdApi
from tasks.providers.kind import ProviderKind, Sandbox

KIND = ProviderKind(
    name="bird",
    config=BirdConfig,
    options=BirdOptions,
    adapter=Bird,
    sandbox=Sandbox(
        api=BirdApi,
        fields={"workspace_id": "sandbox-workspace", "organization_id": "sandbox-organization"},
        numbers="+1305",
    ),
    # GET 50/s and POST 500/s are documented for Channels; whether Numbers has the same is not said, so we stay below.
    policy={"rate_limits": ("20/second",), "lookup_rate_limits": ("40/second",), "max_in_flight": 50},
    tells_price=True,
)
