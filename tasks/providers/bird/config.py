"""Bird's fields of [providers.ALIAS], its policy's defaults, and the options of a purchase."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from schemas.config.kinds import Options
from schemas.config.provider import ProviderConfig

# GET 50/s and POST 500/s are documented for Channels; whether Numbers has the same is not said, so we stay below.
POLICY = {"rate_limits": ("20/second",), "lookup_rate_limits": ("40/second",), "max_in_flight": 50}


class BirdConfig(ProviderConfig):
    """The workspace buys; the organization's stock is searched."""

    several_need_id: ClassVar[bool] = False
    workspace_id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9-]+$")
    organization_id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9-]+$")

    def _own_account(self) -> str:
        return self.workspace_id

    def _former_account_id(self) -> str:
        return self.account_id or self.workspace_id


class BirdOptions(Options):
    """A purchase is of a stock item; without an id it is found by the number."""

    stock_item_id: UUID | None = None
