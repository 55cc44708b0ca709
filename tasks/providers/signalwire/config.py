"""SignalWire's fields of [providers.ALIAS]."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.provider_config import ProviderConfig


class SignalWireConfig(ProviderConfig):
    """`base_url` is https://SPACE.signalwire.com; the token needs the Numbers scope."""

    several_need_id: ClassVar[bool] = False
    project_id: str = Field(min_length=1)

    def _own_account(self) -> str:
        return self.project_id

    def _former_account_id(self) -> str:
        return self.account_id or self.project_id
