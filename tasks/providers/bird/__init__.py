"""Bird: stock items of an organization are bought for a workspace, and usable some time after."""

from tasks.providers.bird.adapter import Bird
from tasks.providers.bird.config import POLICY, BirdConfig, BirdOptions
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
    policy=POLICY,
    tells_price=True,
    portal="cancel the subscription named main of the number in its dashboard: how a program does, its "
    "documents do not show whole",
)
